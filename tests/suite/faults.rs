//! AWS on a bad day: throttling, lost answers and describes that lag behind, all at once. Apply, check and destroy still
//! succeed, nothing is made twice and nothing is left.

use std::path::PathBuf;
use std::thread;

use natdeck::sandbox::{Options, Sandbox};

use super::support::Home;
use super::world::lines;

const FAULTS: [&str; 7] =
    ["--sandbox", "--sandbox-fault", "throttle=30%", "--sandbox-fault", "consistency=2s", "--sandbox-fault", "lost=5%"];

/// Each seed is another choice of the requests that are hit.
const SEEDS: [&str; 4] = ["1", "2", "3", "4"];

fn file(home: &Home) -> PathBuf {
    home.path().join("state/natdeck/sandbox.json")
}

fn world_of(home: &Home) -> Vec<String> {
    let sandbox = Sandbox::open(Options { state_file: Some(file(home)), ..Options::default() }).unwrap();
    sandbox.with_world(|world| lines(world)).unwrap()
}

fn on_a_bad_day(scenario: &str, extra: &[&str]) {
    let calm = Home::new();
    let begin = ["--sandbox", "--scenario", scenario];
    calm.expect(0, &[&begin[..], &["tree"]].concat());
    let before = world_of(&calm);
    calm.expect(0, &[&begin[..], &["apply", "--yes"], extra].concat());
    let built = world_of(&calm);
    thread::scope(|scope| {
        for seed in SEEDS {
            let (before, built) = (&before, &built);
            scope.spawn(move || {
                let home = Home::new();
                let with = |rest: &[&str]| {
                    let arguments = [&FAULTS[..], &["--scenario", scenario, "--sandbox-seed", seed], rest].concat();
                    let ran = home.run(&arguments);
                    assert_eq!(ran.code, 0, "seed {seed}: {rest:?}\n{}", ran.stderr);
                };
                with(&[&["apply", "--yes"][..], extra].concat());
                assert_eq!(&world_of(&home), built, "seed {seed}: built");
                with(&["check"]);
                with(&["destroy", "--yes"]);
                assert_eq!(&world_of(&home), before, "seed {seed}: removed");
            });
        }
    });
}

#[test]
fn the_article_from_nothing_on_a_bad_day() {
    on_a_bad_day("empty", &["--elastic-ip"]);
}

#[test]
fn the_draft_completed_and_restored_on_a_bad_day() {
    on_a_bad_day("draft", &["--topology", "single-interface"]);
}
