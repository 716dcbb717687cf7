//! The page that says what was found: `assets/causes.md`.

use std::fmt::Write as _;

use natdeck::reach::Cause;
use natdeck::sandbox::causes;
use regex::Regex;

use super::rows::{Row, Undo};
use super::trial::Outcome;

/// A cause in one topology.
pub enum Cell {
    Absent(&'static str),
    Found(Box<Outcome>),
}

const HEAD: &str = "\
# Causes

Why a private instance does not get out through its NAT instance, as natdeck names it. This page is written by the test
suite (`tests/suite/causes/table.rs`, `NATDECK_BLESS=1`) from what it saw: it takes a healthy world, breaks it by one
cause (`natdeck sandbox break CODE`), and insists that `natdeck diagnose` puts that cause first with the line that
decides, that the repair makes the check pass for everybody and changes nothing else, and that taking the repair back
breaks it again. Repairs on a host are made twice, and the host is rebooted.

Two interfaces is the article's NAT, one interface the NAT of AWS's own guide. A dash stands where AWS's Reachability
Analyzer has no word for it.

";

/// The page, from what was found in both topologies, in the order of the rows.
pub fn page(found: &[(&Row, [Cell; 2])]) -> String {
    let tidy = Tidy::new();
    let mut page = String::from(HEAD);
    page.push_str(
        "| code | severity | where | AWS's word | two interfaces | one interface |\n|---|---|---|---|---|---|\n",
    );
    for (row, cells) in found {
        let cause = row.cause;
        let aws = cause.aws_code().map_or_else(|| "-".to_owned(), |code| format!("`{code}`"));
        let [two, one] = cells.each_ref().map(short);
        writeln!(
            page,
            "| [`{cause}`](#{}) | {} | {} | {aws} | {two} | {one} |",
            anchor(cause),
            cause.severity(),
            cause.place()
        )
        .unwrap();
    }
    for (row, cells) in found {
        section(&mut page, row, cells, &tidy);
    }
    page
}

fn short(cell: &Cell) -> &'static str {
    match cell {
        Cell::Absent(_) => "does not occur",
        Cell::Found(outcome) if outcome.repairs.is_empty() => "first",
        Cell::Found(_) => "first, repaired",
    }
}

/// As GitHub makes it from a heading.
fn anchor(cause: Cause) -> String {
    cause.name().to_lowercase().replace(':', "")
}

fn section(page: &mut String, row: &Row, cells: &[Cell; 2], tidy: &Tidy) {
    let cause = row.cause;
    writeln!(page, "\n## {cause}\n\n{}\n", cause.explanation()).unwrap();
    writeln!(page, "- `sandbox break`: {}", causes::about(cause)).unwrap();
    let [two, one] = cells;
    let both = [("two interfaces", two), ("one interface", one)];
    let mut absent: Vec<(&str, &str)> = Vec::new();
    for (topology, cell) in both {
        if let Cell::Absent(words) = cell {
            absent.push((topology, words));
        }
    }
    match absent.as_slice() {
        [] => {}
        [(topology, words)] => writeln!(page, "- not with {topology}: {words}").unwrap(),
        [(_, words), ..] => writeln!(page, "- with neither: {words}").unwrap(),
    }
    let seen: Vec<(&str, &Outcome)> = both
        .into_iter()
        .filter_map(|(topology, cell)| match cell {
            Cell::Found(outcome) => Some((topology, &**outcome)),
            Cell::Absent(_) => None,
        })
        .collect();
    let mut told = |what: &str, of: &dyn Fn(&Outcome) -> Vec<String>| {
        let lines: Vec<(&str, Vec<String>)> = seen.iter().map(|(topology, outcome)| (*topology, of(outcome))).collect();
        let same = lines.iter().all(|(_, line)| *line == lines[0].1);
        for (topology, line) in lines.iter().take(if same { 1 } else { 2 }).filter(|(_, line)| !line.is_empty()) {
            let of = if same || seen.len() == 1 { String::new() } else { format!(", {topology}") };
            writeln!(page, "- {what}{of}: {}", line.join("; then ")).unwrap();
        }
    };
    told("certainty", &|outcome| vec![outcome.finding.certainty.to_string()]);
    told("evidence", &|outcome| vec![format!("`{}`", tidy.tidy(&outcome.decisive))]);
    told("repair", &|outcome| outcome.repairs.iter().map(|(_, title)| tidy.tidy(title)).collect());
    if !cause.repairable() {
        writeln!(page, "- by hand: {}", cause.by_hand()).unwrap();
    } else if !seen.is_empty() {
        let undone = match row.undo {
            Undo::Back => "broken again, as it was".to_owned(),
            Undo::Nothing(why) => format!("nothing, since {why}"),
            Undo::Refused(operation) => format!("AWS refuses {operation} while addresses depend on it"),
        };
        writeln!(page, "- taken back: {undone}").unwrap();
    }
}

/// Leaves out what differs from run to run.
struct Tidy(Vec<(Regex, &'static str)>);

impl Tidy {
    fn new() -> Self {
        let rules = [
            (r"\b([a-z]+)-0[0-9a-f]{16}\b", "$1-…"),
            (r"\d{4}-\d\d-\d\dT[0-9:.]+Z", "…"),
            (r"\b(3|18|35|52)\.\d+\.\d+\.\d+\b", "ADDRESS"),
            // An instance has the address that was free when it came; .1 is the router.
            (r"\b10\.8\.\d+\.([2-9]|[1-9]\d+)\b", "PRIVATE-ADDRESS"),
            (r"user/\w+", "user/…"),
        ];
        Self(rules.into_iter().map(|(pattern, by)| (Regex::new(pattern).unwrap(), by)).collect())
    }

    fn tidy(&self, text: &str) -> String {
        let tidied = self.0.iter().fold(text.to_owned(), |text, (rule, by)| rule.replace_all(&text, *by).into_owned());
        tidied.replace('`', "'")
    }
}
