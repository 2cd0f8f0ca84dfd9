//! Prints the figures: `make rooms`.

use structure::{Table, crates};

fn main() {
    print!("{}", Table(&crates()));
    println!(
        "\nimports: distinct paths `crate::…` from one room into another, outside of tests; pairs of \
         rooms that they join;\nof these, how many go back up if the rooms are ordered so that the \
         fewest do; knot: rooms that all import one another."
    );
}
