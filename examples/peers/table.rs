//! Readings as markdown tables: medians, ratios to redis-benchmark with their spread, and who was the limit.

use crate::Group;
use crate::contender::{BASELINE, Contender, Reading};

/// Busier than this, a side is the limit.
const SATURATED: f64 = 0.9;

/// One table a group.
pub(crate) fn markdown(groups: &[Group]) -> String {
    groups.iter().map(of).collect()
}

fn of(group: &Group) -> String {
    let depth = if group.depth == 1 { String::new() } else { format!(", {} commands a round trip", group.depth) };
    let clients = if group.connections == 1 { "1 client".to_owned() } else { format!("{} clients", group.connections) };
    let mut out = format!(
        "\n**{}, {clients}{depth}**\n\n| contender | updates/s | to {BASELINE} | client CPUs | server CPUs | the limit | lost |\n\
         |---|--:|--:|--:|--:|---|--:|\n",
        group.transport
    );
    let baseline = group.rows.iter().find(|(contender, _)| contender.name() == BASELINE).map(|(_, readings)| readings);
    for (contender, readings) in &group.rows {
        let column = |figure: fn(&Reading) -> f64| median(readings.iter().map(figure).collect());
        let (client, server) = (column(|r| r.client_cpus), column(|r| r.server_cpus));
        let lost: Option<u64> = readings.iter().map(|reading| reading.lost).sum();
        out += &format!(
            "| {} | {} | {} | {client:.2} | {server:.2} | {} | {} |\n",
            bold(contender),
            thousands(column(|r| r.per_s)),
            baseline.map_or_else(|| "–".to_owned(), |baseline| ratio(readings, baseline)),
            limit(client, server),
            lost.map_or_else(|| "cannot tell".to_owned(), |lost| lost.to_string()),
        );
    }
    out
}

fn bold(contender: &Contender) -> String {
    match contender {
        Contender::Ours(..) => format!("**{}**", contender.name()),
        _ => contender.name(),
    }
}

/// `1.21 (1.17–1.24)`: the median of the rounds' own ratios, and their range.
fn ratio(readings: &[Reading], baseline: &[Reading]) -> String {
    let ratios: Vec<f64> = readings.iter().zip(baseline).map(|(own, base)| own.per_s / base.per_s).collect();
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
