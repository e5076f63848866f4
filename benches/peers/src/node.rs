//! What runs under Node.

use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The programs cannot be installed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InstallError {
    /// There is no npm.
    #[error("npm cannot be started: install Node (with npm), or choose the systems without it by --systems")]
    Npm(#[source] std::io::Error),
    /// npm failed.
    #[error("`npm ci` failed in {}; it builds better-sqlite3, which takes a C++ compiler and python", .0.display())]
    Failed(PathBuf),
    /// The folder cannot be read.
    #[error("the packages of the systems under Node cannot be read")]
    Read(#[from] std::io::Error),
    /// A package's description is none.
    #[error("a package's description is not valid")]
    Package(#[from] serde_json::Error),
}

/// The folder of the programs.
pub(crate) fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/node"))
}

/// Installs what the lock file names, where that is not done yet.
pub(crate) fn install() -> Result<(), InstallError> {
    let folder = folder();
    if folder.join("node_modules/.package-lock.json").exists() {
        return Ok(());
    }
    let mut npm = Command::new("npm");
    npm.args(["ci", "--no-audit", "--no-fund"]).current_dir(&folder).stdin(Stdio::null());
    // Standard output is for the figures alone.
    let status = npm.stdout(std::io::stderr()).status().map_err(InstallError::Npm)?;
    if status.success() { Ok(()) } else { Err(InstallError::Failed(folder)) }
}

/// The version of an installed package.
pub(crate) fn version(package: &str) -> Result<String, InstallError> {
    let description = std::fs::read(folder().join("node_modules").join(package).join("package.json"))?;
    let description: serde_json::Value = serde_json::from_slice(&description)?;
    Ok(description.get("version").and_then(serde_json::Value::as_str).unwrap_or_default().to_owned())
}

/// The version of Node itself.
pub(crate) fn node_version() -> Result<String, InstallError> {
    let output = Command::new("node").arg("--version").output().map_err(InstallError::Npm)?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
