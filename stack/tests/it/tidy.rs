//! The repository as a whole: what the README promises about its shape.

use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(file: &str) -> String {
    let path = root().join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every Rust file that belongs to the repository.
fn sources() -> Vec<String> {
    let listed = Command::new("git")
        .args([
            "ls-files",
            "--cached",
            "--others",
            "--exclude-standard",
            "*.rs",
        ])
        .current_dir(root())
        .output()
        .expect("git is installed");
    let files = String::from_utf8(listed.stdout).unwrap();
    let files: Vec<String> = files.lines().map(str::to_owned).collect();
    assert!(files.len() > 50, "git lists the sources: {files:?}");
    files
        .into_iter()
        .filter(|file| root().join(file).exists())
        .collect()
}

#[test]
fn every_place_that_the_readme_names_exists() {
    let readme = read("README.md");
    let named = readme.split('`').skip(1).step_by(2);
    let places: Vec<&str> = named
        .filter(|text| {
            [
                "proxy/",
                "common/",
                "appserver/",
                "certs/",
                "stack/",
                "benches/",
                "deploy/",
                "docs/",
            ]
            .iter()
            .any(|crate_folder| text.starts_with(crate_folder))
        })
        .collect();
    assert!(places.len() > 40, "the map is there");
    for place in places {
        assert!(
            root().join(place).exists(),
            "README.md names {place}, which does not exist"
        );
    }
}

#[test]
fn every_link_of_the_documents_leads_somewhere() {
    for document in [
        "README.md",
        "docs/configuration.md",
        "docs/logs-and-metrics.md",
    ] {
        let folder = root()
            .join(document)
            .parent()
            .map(Path::to_owned)
            .unwrap_or_default();
        for link in read(document)
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let file = link.split('#').next().unwrap_or_default();
            let local = !file.is_empty() && !file.contains("://");
            assert!(
                !local || folder.join(file).exists(),
                "{document} links to {link}"
            );
        }
    }
}

#[test]
fn every_dependency_has_its_line() {
    let manifest = read("Cargo.toml");
    let readme = read("README.md");
    let dependencies = manifest.split("[workspace.dependencies]").nth(1).unwrap();
    let dependencies = dependencies.split("\n[").next().unwrap();
    let names = dependencies
        .lines()
        .filter_map(|line| line.split_once(" = "))
        .map(|(name, _)| name);
    let table = readme.split("## Dependencies").nth(1).unwrap();
    for name in names.filter(|name| !name.starts_with("lintel-") && !name.starts_with('#')) {
        assert!(
            table
                .split(|c: char| !(c.is_alphanumeric() || c == '-' || c == '_'))
                .any(|word| word == name),
            "{name} has no line in the README's table of dependencies"
        );
    }
}

#[test]
fn every_file_says_what_it_is_and_stays_readable() {
    for file in sources()
        .into_iter()
        .filter(|file| !file.ends_with("/tests.rs"))
    {
        let text = read(&file);
        assert!(
            text.starts_with("//!"),
            "{file} does not open by saying what it is"
        );
        assert!(
            !file.ends_with("/mod.rs"),
            "{file}: modules are named by their file here"
        );
        let before_tests = text
            .split("\n#[cfg(test)]\nmod ")
            .next()
            .unwrap_or_default();
        let code = before_tests
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with("//"))
            .count();
        assert!(
            code <= 450 || file.contains("/tests/"),
            "{file} has {code} lines of code: split it by what it does"
        );
    }
}

#[test]
fn one_tls_provider_in_the_tree() {
    let tree = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--locked",
            "--workspace",
            "--target",
            "all",
            "--prefix",
            "none",
        ])
        .current_dir(root())
        .output()
        .expect("cargo is installed");
    let tree = String::from_utf8(tree.stdout).unwrap();
    let crates: Vec<&str> = tree
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert!(crates.contains(&"aws-lc-rs"), "cargo lists the tree");
    for unwanted in ["ring", "openssl-sys", "native-tls"] {
        assert!(!crates.contains(&unwanted), "{unwanted} came into the tree");
    }
}
