//! Nothing but what the package is made of: see `Cargo.toml` beside this file.
