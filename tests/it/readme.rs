//! The README says what is there, and nothing in it is only said.

use std::path::{Path, PathBuf};

use redis_lost_updates::strategy::ALL;

fn readme() -> String {
    std::fs::read_to_string("README.md").unwrap()
}

/// `UPDATE_DOCS=1 cargo test --test it readme` writes the page anew.
#[test]
fn the_page_of_strategies_is_the_list() {
    let table: String = ALL
        .iter()
        .map(|s| {
            format!("| `{}` | {} | {} | {} |\n", s.info().name, s.info().promise, s.info().round_trips, s.info().about)
        })
        .collect();
    let page = format!(
        "# Strategies\n\nWritten from the list in `src/strategy.rs` by `UPDATE_DOCS=1 cargo test --test it readme`; each \
         file there says how its strategy works and fails.\n\n| strategy | promise | round trips | what it does |\n\
         |---|---|---|---|\n{table}"
    );
    const FILE: &str = "docs/strategies.md";
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(FILE, &page).unwrap();
    }
    let said = std::fs::read_to_string(FILE).unwrap();
    assert!(said == page, "{FILE} is not the list: UPDATE_DOCS=1 cargo test --test it readme writes it anew");
}

#[test]
fn every_command_is_run_by_ci() {
    let ci = std::fs::read_to_string(".ci/run").unwrap();
    let readme = readme();
    let blocks = readme.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let commands: Vec<&str> = blocks
        .flat_map(str::lines)
        .map(|line| line.split(" # ").next().unwrap().trim())
        .filter(|c| !c.is_empty())
        .collect();
    assert!(commands.len() > 10, "{commands:?}");
    for command in commands {
        assert!(ci.lines().any(|line| line.contains(command)), ".ci/run does not run: {command}");
    }
}

/// The pages in the repository's root and in `docs/`.
fn pages() -> Vec<PathBuf> {
    let listed = [".", "docs", "results"].into_iter().flat_map(|folder| std::fs::read_dir(folder).unwrap());
    let mut pages: Vec<PathBuf> = listed.map(|entry| entry.unwrap().path()).collect();
    pages.retain(|path| path.extension().is_some_and(|e| e == "md"));
    pages
}

#[test]
fn every_link_leads_somewhere() {
    assert!(pages().len() > 7, "{:?}", pages());
    for page in pages() {
        let text = std::fs::read_to_string(&page).unwrap();
        for target in text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            let path = target.split('#').next().unwrap();
            if !path.is_empty() && !path.contains("://") {
                assert!(page.with_file_name(path).exists(), "{} links to {path}", page.display());
            }
        }
    }
}

#[test]
fn the_map_names_every_module_and_only_files_that_exist() {
    let map = std::fs::read_to_string("ARCHITECTURE.md").unwrap();
    let quoted: Vec<&str> = map.split('`').skip(1).step_by(2).collect();
    let lib = std::fs::read_to_string("src/lib.rs").unwrap();
    let modules = lib.lines().filter_map(|line| line.trim_start_matches("pub ").strip_prefix("mod "));
    for module in modules.map(|rest| rest.trim_end_matches(';')) {
        assert!(quoted.contains(&module), "ARCHITECTURE.md lacks the module {module}");
    }
    let folders = ["src/", "examples/", "libraries/", "browser/", "benches/", "tests/", "results/"];
    for path in quoted.iter().filter(|path| folders.iter().any(|folder| path.starts_with(folder))) {
        assert!(Path::new(path).exists(), "ARCHITECTURE.md names {path}");
    }
}
