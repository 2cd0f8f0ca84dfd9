//! The table, in Markdown.

use super::outcome::{Outcome, Verdict, judge};
use super::sequence::Sequence;
use crate::site::setup::Setup;

/// Its head.
pub const HEAD: &str = "\
| sequence | configuration | ours: silent s (after the cause) | who served | at the end | \
IPaddr2: silent s (after the cause) | who served | at the end | verdict |
|---|---|---|---|---|---|---|---|---|";

/// What came of one row: our outcome, and that of the peer where it took part.
pub type Played = (Result<Outcome, String>, Option<Result<Outcome, String>>);

/// A row.
#[must_use]
pub fn row(sequence: &Sequence, setup: Setup, played: &Played) -> String {
    let (ours, peer) = played;
    let peer_cells = peer.as_ref().map_or_else(|| "– | – | –".to_owned(), cells);
    let verdict = match verdict(sequence, played) {
        Some(Verdict::Good) => match sequence.not_compared {
            Some(why) => format!("good (not compared: {why})"),
            None => "good".to_owned(),
        },
        Some(Verdict::Bad(wrong)) => format!("**{}**", wrong.join("; ")),
        None => "not played".to_owned(),
    };
    format!("| {} | {setup} | {} | {peer_cells} | {verdict} |", sequence.name, cells(ours))
}

/// The verdict over a row; `None` where our part of it could not be played.
#[must_use]
pub fn verdict(sequence: &Sequence, (ours, peer): &Played) -> Option<Verdict> {
    let ours = ours.as_ref().ok()?;
    match peer {
        Some(Err(_)) => None,
        Some(Ok(peer)) => Some(judge(sequence, ours, Some(peer))),
        None => Some(judge(sequence, ours, None)),
    }
}

fn cells(outcome: &Result<Outcome, String>) -> String {
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(error) => {
            let line: String = error.lines().next().unwrap_or_default().chars().take(100).collect();
            let line = line.replace('|', "/");
            return format!("not played: {line} | | ");
        }
    };
    let (silent, after) = (outcome.silent.as_secs_f64(), outcome.silent_after.as_secs_f64());
    let end = if outcome.serves { "serves" } else { "**silent**" };
    let operator = outcome.operator.iter().map(|text| format!("**operator: {text}**"));
    let end: Vec<String> = std::iter::once(end.to_owned())
        .chain(operator)
        .chain(outcome.remarks.iter().cloned())
        .collect();
    format!("{silent:.1} ({after:.1}) | {} | {}", outcome.served, end.join("; "))
}
