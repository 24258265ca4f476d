//! Readings as markdown tables: medians, ratios to redis-benchmark with their spread, and who was the limit.

use crate::Group;
use crate::contender::{BASELINE, Contender, Reading};

/// Busier than this, a side is the limit.
const SATURATED: f64 = 0.9;

/// For each pipeline depth the ratios at a glance, and then every figure.
pub(crate) fn markdown(groups: &[Group]) -> String {
    let mut depths: Vec<usize> = groups.iter().map(|group| group.depth).collect();
    depths.sort_unstable();
    depths.dedup();
    let of = |depth: &usize| groups.iter().filter(|group| group.depth == *depth).collect::<Vec<_>>();
    depths.iter().map(|depth| ratios(&of(depth)) + &figures(&of(depth))).collect()
}

/// Contenders down, connections across.
fn ratios(groups: &[&Group]) -> String {
    let depth = match groups[0].depth {
        1 => "one command a round trip".to_owned(),
        depth => format!("{depth} commands a round trip"),
    };
    let heads: Vec<String> = groups.iter().map(|group| format!(" {} ", group.connections)).collect();
    let mut out = format!("Ratio to {BASELINE}, {depth}, by connections:\n\n| contender |{}|\n", heads.join("|"));
    out += &format!("|---|{}\n", "--:|".repeat(groups.len()));
    for (at, (contender, _)) in groups[0].rows.iter().enumerate() {
        let cells: Vec<String> = groups.iter().map(|group| format!(" {} ", ratio(group, at))).collect();
        out += &format!("| {} |{}|\n", bold(contender), cells.join("|"));
    }
    out + "\n"
}

/// Everything measured.
fn figures(groups: &[&Group]) -> String {
    let mut out = "<details><summary>Rates, CPUs and who was the limit</summary>\n\n\
         | connections | contender | updates/s | client CPUs | server CPUs | the limit | lost |\n\
         |--:|---|--:|--:|--:|---|--:|\n"
        .to_owned();
    for (group, (contender, readings)) in groups.iter().flat_map(|group| group.rows.iter().map(move |row| (group, row)))
    {
        let column = |figure: fn(&Reading) -> f64| median(readings.iter().map(figure).collect());
        let (client, server) = (column(|r| r.client_cpus), column(|r| r.server_cpus));
        let lost: Option<u64> = readings.iter().map(|reading| reading.lost).sum();
        out += &format!(
            "| {} | {} | {} | {client:.2} | {server:.2} | {} | {} |\n",
            group.connections,
            bold(contender),
            thousands(column(|r| r.per_s)),
            limit(client, server),
            lost.map_or_else(|| "cannot tell".to_owned(), |lost| lost.to_string()),
        );
    }
    out + "\n</details>\n\n"
}

fn bold(contender: &Contender) -> String {
    match contender {
        Contender::Ours(..) => format!("**{}**", contender.name()),
        _ => contender.name(),
    }
}

/// `1.21 (1.17–1.24)`: the median of the rounds' ratios, and their range.
fn ratio(group: &Group, at: usize) -> String {
    let ratios: Vec<f64> = group.rows[at].1.iter().filter_map(|reading| reading.ratio).collect();
    if ratios.is_empty() {
        return if group.baseline() == Some(at) { "1".to_owned() } else { "–".to_owned() };
    }
    let (low, high) = ratios.iter().fold((f64::MAX, 0.0_f64), |(low, high), &r| (low.min(r), high.max(r)));
    format!("{:.2} ({low:.2}–{high:.2})", median(ratios))
}

fn limit(client: f64, server: f64) -> &'static str {
    match (client >= SATURATED, server >= SATURATED) {
        (true, true) => "both",
        (true, false) => "client",
        (false, true) => "server",
        (false, false) => "waiting",
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => (values[n / 2 - 1] + values[n / 2]) / 2.0,
    }
}

fn thousands(rate: f64) -> String {
    let digits = format!("{rate:.0}");
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
