//! Tools of Python that some tests drive: each in an environment of its own below `target/`, made once and kept.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The program `name` of the package `requirement` (`name==version`).
///
/// An environment that is there is taken. Where there is none it is made if the variable `required` is set, as `.ci/run` sets
/// it, and what goes wrong then is a failure; else the tests that need it say so and pass.
pub(crate) fn program(requirement: &str, name: &str, required: &str) -> Option<PathBuf> {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("venv").join(requirement);
    let program = place.join("bin").join(name);
    if program.exists() {
        return Some(program);
    }
    if std::env::var_os(required).is_none() {
        let told = format!(
            "\nLEFT OUT: the tests with {requirement}, because it is not installed; set {required}=1 to have it installed\n"
        );
        // Not eprintln: what a passing test prints is not shown, and this has to be.
        let _ = std::io::stderr().write_all(told.as_bytes());
        return None;
    }
    std::fs::create_dir_all(place.parent().expect("a folder above")).unwrap();
    let _ = std::fs::remove_dir_all(&place);
    run(Command::new("python3").args(["-m", "venv"]).arg(&place));
    let installed = Command::new(place.join("bin/pip"))
        .args(["install", "--quiet", "--disable-pip-version-check", requirement])
        .stdin(Stdio::null())
        .status();
    if !installed.is_ok_and(|status| status.success()) {
        let _ = std::fs::remove_dir_all(&place);
        panic!("{required} is set and {requirement} cannot be installed");
    }
    assert!(program.exists(), "{requirement} has no program `{name}`");
    Some(program)
}

fn run(command: &mut Command) {
    let status = command.stdin(Stdio::null()).status();
    assert!(status.is_ok_and(|status| status.success()), "{command:?} failed; python3 with venv is needed");
}
