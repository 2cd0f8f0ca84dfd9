//! What people read: each command in README and docs is run by a test or says why not; the manual
//! pages are as groff, mandoc and the agents' own messages want them; alert rules and dashboard use metrics
//! that exist; links lead somewhere, and the book has every page.

// Functions beside the tests are test code, too.
#![allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod commands;
mod figures;
mod links;
mod manual;
mod monitoring;
mod yaml;
