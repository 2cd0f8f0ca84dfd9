//! Rooms as nodes, imports as edges.

use std::collections::{BTreeMap, BTreeSet};

/// With more rooms in one knot, the exact count would take too long.
const EXACT: usize = 20;

/// Which room imports which.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    edges: BTreeMap<String, BTreeSet<String>>,
}

impl Graph {
    /// Makes the graph of these pairs: the room that imports, and the imported one.
    pub fn of<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut graph = Self::default();
        for (from, to) in pairs {
            graph.edges.entry(from.to_owned()).or_default().insert(to.to_owned());
            graph.edges.entry(to.to_owned()).or_default();
        }
        graph
    }

    /// Returns every pair once.
    pub fn edges(&self) -> impl Iterator<Item = (&str, &str)> {
        self.edges
            .iter()
            .flat_map(|(from, all)| all.iter().map(move |to| (from.as_str(), to.as_str())))
    }

    /// Returns every room that can be reached from a room; the room itself only if there is a way back.
    fn reached(&self, from: &str) -> BTreeSet<&str> {
        let mut reached = BTreeSet::new();
        let mut next = vec![from];
        while let Some(room) = next.pop() {
            for to in self.edges.get(room).into_iter().flatten() {
                if reached.insert(to.as_str()) {
                    next.push(to);
                }
            }
        }
        reached
    }

    /// Returns the sets of rooms that all reach one another, the largest first: the strongly connected
    /// components of more than one room.
    #[must_use]
    pub fn knots(&self) -> Vec<BTreeSet<&str>> {
        let reached: BTreeMap<&str, BTreeSet<&str>> =
            self.edges.keys().map(|room| (room.as_str(), self.reached(room))).collect();
        let mut knots = BTreeSet::new();
        for (room, all) in &reached {
            let back = |other: &&&str| reached.get(**other).is_some_and(|it| it.contains(room));
            let knot: BTreeSet<&str> = all.iter().filter(back).copied().collect();
            if knot.len() > 1 {
                knots.insert(knot);
            }
        }
        let mut knots: Vec<_> = knots.into_iter().collect();
        knots.sort_by_key(|knot| std::cmp::Reverse(knot.len()));
        knots
    }

    /// Returns the number of rooms in the largest knot, or 1 if there is no knot.
    #[must_use]
    pub fn largest_knot(&self) -> usize {
        self.knots().first().map_or(1, BTreeSet::len)
    }

    /// Returns how many edges go back up in the best order of the rooms: the size of a minimum feedback
    /// arc set.
    #[must_use]
    pub fn fewest_back(&self) -> usize {
        self.knots().iter().map(|knot| self.fewest_back_in(knot)).sum()
    }

    fn fewest_back_in(&self, knot: &BTreeSet<&str>) -> usize {
        assert!(knot.len() <= EXACT, "{} rooms in one knot: {knot:?}", knot.len());
        let number: BTreeMap<&str, usize> = knot.iter().copied().zip(0..).collect();
        // The rooms that a room imports, as a set of bits.
        let imported: Vec<u32> = knot
            .iter()
            .map(|room| {
                let all = self.edges.get(*room).into_iter().flatten();
                all.filter_map(|to| number.get(to.as_str())).fold(0, |bits, to| bits | 1 << to)
            })
            .collect();
        // The cheapest order, by which rooms are placed first: what a room imports of those above
        // it goes back up.
        let all = 1_usize << knot.len();
        let mut fewest = vec![usize::MAX; all];
        if let Some(nothing) = fewest.first_mut() {
            *nothing = 0;
        }
        for placed in 0..all {
            let Some(so_far) = fewest.get(placed).copied() else { continue };
            for (room, imports) in imported.iter().enumerate() {
                let with = placed | 1 << room;
                let above = u32::try_from(placed).unwrap_or(u32::MAX) & imports;
                let cost = so_far + usize::try_from(above.count_ones()).unwrap_or(0);
                if let Some(known) = fewest.get_mut(with).filter(|_| with != placed) {
                    *known = cost.min(*known);
                }
            }
        }
        fewest.last().copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floors_have_no_knot() {
        let graph = Graph::of([("roof", "floor"), ("floor", "ground"), ("roof", "ground")]);
        assert_eq!((graph.edges().count(), graph.largest_knot(), graph.fewest_back()), (3, 1, 0));
    }

    #[test]
    fn a_knot_is_what_reaches_itself() {
        let graph = Graph::of([
            ("a", "b"),
            ("b", "c"),
            ("c", "a"),
            ("c", "d"),
            ("d", "e"),
            ("e", "d"),
            ("f", "a"),
        ]);
        let [one, two] = &graph.knots()[..] else { panic!("{:?}", graph.knots()) };
        assert_eq!(one, &BTreeSet::from(["a", "b", "c"]));
        assert_eq!(two, &BTreeSet::from(["d", "e"]));
        assert_eq!(graph.fewest_back(), 2);
        // Two rings that share an edge: one cut is enough.
        let graph = Graph::of([("a", "b"), ("b", "c"), ("c", "a"), ("b", "d"), ("d", "a")]);
        assert_eq!((graph.largest_knot(), graph.fewest_back()), (4, 1));
        // All of them import all others: half of the edges.
        let rooms = ["a", "b", "c", "d"];
        let all = rooms.iter().flat_map(|a| rooms.iter().map(move |b| (*a, *b)));
        assert_eq!(Graph::of(all.filter(|(a, b)| a != b)).fewest_back(), 6);
    }
}
