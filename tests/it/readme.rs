//! The README says what is there, and nothing in it is only said.

use redis_lost_updates::strategy::ALL;

fn readme() -> String {
    std::fs::read_to_string("README.md").unwrap()
}

#[test]
fn the_table_of_strategies_is_the_list() {
    let table: String = ALL
        .iter()
        .map(|s| {
            format!("| `{}` | {} | {} | {} |\n", s.info().name, s.info().promise, s.info().round_trips, s.info().about)
        })
        .collect();
    let table = format!("| strategy | promise | round trips | what it does |\n|---|---|---|---|\n{table}");
    assert!(readme().contains(&table), "README.md's table of strategies is to be:\n{table}");
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

#[test]
fn every_link_leads_somewhere() {
    for page in ["README.md", "METHODOLOGY.md", "BENCHMARKS.md", "results/README.md"] {
        let text = std::fs::read_to_string(page).unwrap();
        for target in text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            let path = target.split('#').next().unwrap();
            if !path.is_empty() && !path.contains("://") {
                assert!(std::path::Path::new(path).exists(), "{page} links to {path}");
            }
        }
    }
}
