//! The documentation matches the code: its commands run, its links and file names lead somewhere, its lists are current.

use std::path::{Path, PathBuf};

use redis_lost_updates::strategy::ALL;

/// `UPDATE_DOCS=1 cargo test --test it readme` writes the page again.
#[test]
fn the_page_of_strategies_is_the_list() {
    let table: String = ALL
        .iter()
        .map(|s| {
            format!("| `{}` | {} | {} | {} |\n", s.info().name, s.info().promise, s.info().round_trips, s.info().about)
        })
        .collect();
    let page = format!(
        "# Strategies\n\nGenerated from the list in `src/strategy.rs` by `UPDATE_DOCS=1 cargo test --test it readme`. The file \
         of each strategy says how it works and how it fails.\n\n| strategy | promise | round trips | what it does |\n\
         |---|---|---|---|\n{table}"
    );
    const FILE: &str = "docs/strategies.md";
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(FILE, &page).unwrap();
    }
    let said = std::fs::read_to_string(FILE).unwrap();
    assert!(said == page, "{FILE} is out of date: run UPDATE_DOCS=1 cargo test --test it readme");
}

#[test]
fn every_command_is_run_by_ci() {
    let ci = std::fs::read_to_string(".ci/run").unwrap();
    let mut known = 0;
    for page in ["README.md", "docs/usage.md", "docs/adding-a-strategy.md"] {
        let text = std::fs::read_to_string(page).unwrap();
        let blocks = text.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
        let commands = blocks.flat_map(str::lines).map(|line| line.split("# ").next().unwrap().trim());
        for command in commands.filter(|command| !command.is_empty()) {
            assert!(ci.lines().any(|line| line.contains(command)), ".ci/run does not run {page}'s: {command}");
            known += 1;
        }
    }
    assert!(known > 20, "{known} commands");
}

#[test]
fn the_readme_fits_three_screens() {
    let lines = std::fs::read_to_string("README.md").unwrap().lines().count();
    assert!(lines <= 140, "{lines} lines: move details to docs/");
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
