//! Every cause: found and repaired alone, in pairs, in random worlds, and with permissions missing.

mod audit;
mod aws;
mod blind;
mod by_hand;
mod names;
mod operator;
mod pairs;
mod random;
mod redaction;
mod sight;
mod story;
mod table;
mod touched;
mod undo;
mod unseen;
mod worlds;

/// Counts and seeds, for whoever runs with `--nocapture`; and what is wrong at once, for whoever reads a long run.
#[expect(clippy::print_stdout, reason = "the report of a test")]
fn say(text: &str) {
    println!("{text}");
}
