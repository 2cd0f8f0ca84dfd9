//! Creates directories.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use crate::error::{Error, Result};

/// Creates a directory and those above it, mode 0755 without the umask. One that exists stays as it
/// is.
///
/// # Errors
/// Those of mkdir(2).
pub fn create_directory(directory: &Path) -> Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o755);
    builder.create(directory).map_err(Error::on("create directory", directory))
}
