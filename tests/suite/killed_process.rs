//! The real process, killed as `kill -9` does at moments that nobody chose, started again with the same command until
//! it says that it is done: the world is the one of a run that nothing disturbed.

use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use natdeck::sandbox::{Options, Sandbox};

use super::support::{Home, finish, let_pass};
use super::world::lines;

/// How often one command is killed before it is left alone.
const KILLS: u32 = 8;

/// Slow enough that a kill meets a call under way.
const COMMAND: [&str; 5] = ["--sandbox", "--sandbox-fault", "latency=50ms", "--stack", "shop"];
const APPLY: [&str; 3] = ["apply", "--yes", "--elastic-ip"];
const DESTROY: [&str; 2] = ["destroy", "--yes"];

fn world_of(file: &Path) -> Vec<String> {
    let sandbox = Sandbox::open(Options { state_file: Some(file.to_owned()), ..Options::default() }).unwrap();
    sandbox.with_world(|world| lines(world)).unwrap()
}

/// Starts the command and kills it after a while that `random` chooses, again and again; then lets it end. How often it
/// was killed before its end.
fn disturbed(home: &Home, arguments: &[&str], random: &mut fastrand::Rng) -> u32 {
    for kills in 0..KILLS {
        let mut child =
            home.command(arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the binary starts");
        let_pass(Duration::from_millis(random.u64(40..600)));
        child.kill().expect("it can be killed");
        let output = child.wait_with_output().expect("it ends");
        // One that was killed has no exit code. One that ended first must have ended well.
        if output.status.code().is_some() {
            let ran = finish(&output);
            assert_eq!(ran.code, 0, "{}", ran.stderr);
            return kills;
        }
    }
    home.expect(0, arguments);
    KILLS
}

fn same_as_undisturbed(scenario: &str, topology: &str, seeds: [u64; 3]) {
    let apply = [&COMMAND[..], &["--scenario", scenario], &APPLY, &["--topology", topology]].concat();
    let destroy = [&COMMAND[..], &DESTROY].concat();
    let reference = Home::new();
    let file = |home: &Home| home.path().join("state/natdeck/sandbox.json");
    reference.expect(0, &["--sandbox", "--scenario", scenario, "tree"]);
    let before = world_of(&file(&reference));
    reference.expect(0, &apply);
    let built = world_of(&file(&reference));
    assert_ne!(before, built);
    thread::scope(|scope| {
        for seed in seeds {
            let (apply, destroy, before, built) = (&apply, &destroy, &before, &built);
            scope.spawn(move || {
                let mut random = fastrand::Rng::with_seed(seed);
                let home = Home::new();
                let kills = disturbed(&home, apply, &mut random);
                assert!(kills > 1, "seed {seed} kills too late to mean anything");
                assert_eq!(&world_of(&file(&home)), built, "seed {seed}: applied with {kills} kills");
                let kills = disturbed(&home, destroy, &mut random);
                assert!(kills > 0, "seed {seed} kills too late to mean anything");
                assert_eq!(&world_of(&file(&home)), before, "seed {seed}: destroyed with {kills} kills");

                // Killed in the middle of building, and then taken away instead.
                let mut child =
                    home.command(apply).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the binary starts");
                let_pass(Duration::from_millis(random.u64(600..3000)));
                child.kill().expect("it can be killed");
                child.wait().expect("it ends");
                home.expect(0, destroy);
                assert_eq!(&world_of(&file(&home)), before, "seed {seed}: killed, then destroyed");
            });
        }
    });
}

#[test]
fn killed_at_any_moment_the_same_command_again_builds_and_removes_the_article() {
    same_as_undisturbed("empty", "second-interface", [1, 2, 3]);
}

#[test]
fn killed_at_any_moment_the_same_command_again_completes_and_restores_the_draft() {
    same_as_undisturbed("draft", "single-interface", [4, 5, 6]);
}
