//! The virtual environments made by scripts/setup and scripts/setup-versions.

use std::path::{Path, PathBuf};

use harness::Process;

/// The Celery version of the project's own environment, `.venv`.
pub(crate) const NEWEST: &str = "5.7.0";

/// Starts a program from the environment with this Celery version. The program may import the demo's module and the
/// Python services.
pub(crate) fn spawn(version: &str, program: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Process {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let project = package.join("../..");
    let path = format!(
        "{}:{}",
        package.join("demo").display(),
        project.join("python-compat").display()
    );
    let mut environment = vec![
        ("PYTHONPATH", path.as_str()),
        ("PYTHONUNBUFFERED", "1"),
        ("PYTHONDONTWRITEBYTECODE", "1"),
    ];
    environment.extend(variables);
    let program = place(&project, version).join("bin").join(program);
    assert!(
        program.exists(),
        "there is no {}; run scripts/setup and scripts/setup-versions {version}",
        program.display()
    );
    Process::spawn(program, arguments, environment)
}

fn place(project: &Path, version: &str) -> PathBuf {
    if version == NEWEST {
        project.join(".venv")
    } else {
        project.join(".venvs").join(format!("celery-{version}"))
    }
}
