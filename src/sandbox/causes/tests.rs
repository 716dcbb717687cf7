//! Each cause does to packets what it says, and what it needs beforehand does nothing.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::*;
use crate::sandbox::scenario::Scenario;

fn article() -> World {
    let mut world = Scenario::Article.build("eu-central-1", 1, Timestamp::from_second(1_790_000_000).unwrap()).unwrap();
    world.delays = crate::sandbox::world::Delays::instant();
    world
}

/// What `curl` on the private instance gets.
fn curl(world: &mut World, client: &InstanceId) -> Result<String, String> {
    let script = "curl -sS --max-time 8 https://api.ipify.org";
    let output = world.with_machine(client, |machine, outside| machine.run(script, outside)).unwrap();
    if output.exit_code == 0 { Ok(output.stdout) } else { Err(output.stderr) }
}

#[test]
fn every_cause_does_what_it_says_and_staging_it_does_nothing() {
    let healthy = article();
    let mut wrong = String::new();
    for cause in Cause::ALL.iter().copied().filter(|cause| possible(*cause)) {
        let mut world = healthy.clone();
        let mut scene = Scene::find(&world, None).unwrap();
        if let Err(error) = stage(&mut world, &mut scene, cause) {
            assert!(matches!(error, BreakError::NotHere { .. }), "{cause}: {error}");
            continue;
        }
        let before = curl(&mut world, &scene.client);
        let did = match inject(&mut world, &scene, cause) {
            Ok(did) => did,
            Err(error) => {
                writeln!(wrong, "{cause}: {error}").unwrap();
                continue;
            }
        };
        let after = curl(&mut world, &scene.client);
        if before.is_err() {
            writeln!(wrong, "{cause}: staging broke it: {before:?}").unwrap();
        }
        let should_break = cause.severity() == Severity::Breaks && cause.place() != Place::Test;
        // What leads to a NAT in another zone leads away from a NAT gateway: it works, by another address.
        let broken = after.is_err() || (after != before && cause != Cause::NatInOtherZone);
        if cause != Cause::TestTargetDown && broken != should_break {
            writeln!(wrong, "{cause}: {did}: {before:?} became {after:?}").unwrap();
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn a_world_without_a_nat_has_nothing_to_break() {
    let world = Scenario::Draft.build("eu-central-1", 1, Timestamp::from_second(1_790_000_000).unwrap()).unwrap();
    assert_eq!(Scene::find(&world, None).unwrap_err(), BreakError::NothingToBreak);
    let stranger = InstanceId::new("i-0123456789abcdef0");
    assert_eq!(Scene::find(&world, Some(&stranger)).unwrap_err(), BreakError::NoSuchInstance(stranger));
}
