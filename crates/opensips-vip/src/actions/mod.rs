//! One file for each OCF action.

mod budgets;
mod carrier;
pub(crate) mod diagnose;
pub(crate) mod monitor;
pub(crate) mod reload;
mod renewal;
pub(crate) mod start;
pub(crate) mod stop;
pub(crate) mod validate;
