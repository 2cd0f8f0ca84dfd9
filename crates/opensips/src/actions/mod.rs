//! The OCF actions, one file each.

pub(crate) mod async_monitor;
mod budgets;
pub(crate) mod demote;
pub(crate) mod diagnose;
pub(crate) mod monitor;
pub(crate) mod promote;
pub(crate) mod reload;
pub(crate) mod start;
pub(crate) mod stop;
pub(crate) mod validate;
