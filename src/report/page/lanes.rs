//! A lost update as a lane diagram: one lane per client, time downwards, the lost write struck through.

use super::view::name;
use crate::condition::Condition;
use crate::record::{Run, Step};
use crate::report::markup::{Markup, html, num};
use crate::report::words::counted;

/// The diagram of one strategy's shortest witness.
pub(super) struct Lanes {
    pub(super) title: Markup,
    pub(super) load: String,
    pub(super) svg: Markup,
    /// The same in words, one sentence a step: its mark, its time, what happened.
    pub(super) steps: Vec<(String, u64, String)>,
}

const ROW: f64 = 44.0;
const HEAD: f64 = 34.0;

/// A diagram for every strategy that has a witness, in the order of the run.
pub(super) fn lanes(run: &Run) -> Vec<Lanes> {
    let mut groups: Vec<Vec<&Step>> = Vec::new();
    for step in &run.witness {
        let race = |step: &Step| (step.strategy.clone(), step.library.clone(), step.threads);
        match groups.iter_mut().find(|g| race(g[0]) == race(step)) {
            Some(group) => group.push(step),
            None => groups.push(vec![step]),
        }
    }
    groups
        .into_iter()
        .map(|mut steps| {
            steps.sort_by_key(|step| step.step);
            Lanes {
                title: name(&title(steps[0])),
                load: counted(steps[0].threads, "thread"),
                svg: svg(&steps),
                steps: steps.iter().map(|s| (s.mark.clone(), s.at_us, s.note.clone())).collect(),
            }
        })
        .collect()
}

/// The strategy, and the client library that sent the commands, if it is not this program's own.
fn title(step: &Step) -> String {
    if step.library == Condition::default().library {
        return step.strategy.clone();
    }
    format!("{} {}", step.strategy, step.library)
}

fn svg(steps: &[&Step]) -> Markup {
    let mut clients: Vec<&str> = Vec::new();
    for step in steps {
        if !clients.contains(&step.client.as_str()) {
            clients.push(&step.client);
        }
    }
    let x = |client: &str| {
        let at = clients.iter().position(|&known| known == client).unwrap_or(0);
        format!("{}%", num((at as f64 + 0.5) * 100.0 / clients.len() as f64))
    };
    let y = |row: usize| HEAD + ROW * (row as f64 + 0.5);
    let tall = HEAD + ROW * steps.len() as f64 + 4.0;
    let mut out = html!("<svg width=\"100%\" height=\"{}\" aria-hidden=\"true\">", num(tall));
    for client in &clients {
        let at = x(client);
        out += html!(
            "<line class=\"lane\" x1=\"{}\" x2=\"{}\" y1=\"{}\" y2=\"{}\"/><text class=\"client\" x=\"{}\" y=\"18\">client {}</text>",
            at,
            at,
            HEAD,
            num(tall),
            at,
            client
        );
    }
    // From the write that loses an update to the update it loses.
    let at = |mark: &str| steps.iter().position(|step| step.mark == mark);
    if let (Some(lost), Some(by)) = (at("overwritten"), at("overwriting")) {
        out += html!(
            "<line class=\"over\" x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\"/>",
            x(&steps[by].client),
            num(y(by)),
            x(&steps[lost].client),
            num(y(lost))
        );
    }
    for (row, step) in steps.iter().enumerate() {
        let (at, mid) = (x(&step.client), y(row));
        let value = match (&step.value, step.mark.contains("read")) {
            (Some(value), true) => format!(" → {value}"),
            _ => String::new(),
        };
        let text = format!("{}{value}", step.command);
        let wide = text.chars().count() as f64 * 7.6 + 20.0;
        out += html!(
            "<svg x=\"{}\" y=\"{}\" class=\"step {}\"><rect x=\"{}\" y=\"-13\" width=\"{}\" height=\"26\" rx=\"4\"/><text y=\"4.5\">{}</text></svg>",
            at,
            num(mid),
            &step.mark,
            num(-wide / 2.0),
            num(wide),
            &text
        );
    }
    out + Markup::ours("</svg>")
}
