//! The promotable clone: roles, sharing tags, promotion score.

pub(crate) mod declared_tags;
pub(crate) mod role;
pub(crate) mod score;
pub(crate) mod sharing_tag;
pub(crate) mod standby;
pub(crate) mod tags;
