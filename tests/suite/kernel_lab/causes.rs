//! Causes on the NAT host, made in real namespaces by the same commands as in the sandbox: the real curl fails, the
//! diagnosis of what natdeck's own script gathers there puts the cause first, and its repair, run there twice, lets curl
//! through. What a namespace cannot have is said.

use std::collections::BTreeMap;
use std::net::IpAddr;

use natdeck::model::host::Hosts;
use natdeck::model::{Fact, InstanceId, InternetGatewayId, NetworkInterfaceId, RouteTableId, SubnetId, VpcId};
use natdeck::plan::{Call, RepairCall, repair};
use natdeck::reach::{Cause, Diagnosis, Disposition, Flow, Observations, Place, Severity, diagnose, parse_host};
use natdeck::sandbox::causes::{Nat, Scene, nat_script, replies_by_outer};

use super::lab::{Got, Lab};
use super::variation::{Flavour, Variation, user_data};
use super::world::{self, NAT_PUBLIC, OUTSIDE};
use super::{not_run, say, simulated, tools};

const PORT: u16 = 443;
/// Seconds: silence for as long is a drop; an answer may take longer on a busy machine.
const SILENCE: f32 = 1.0;
const PATIENCE: f32 = 8.0;

/// Why a namespace cannot have it. `None`: it can.
fn elsewhere(cause: Cause) -> Option<&'static str> {
    Some(match cause {
        Cause::HostUserDataFailed => "a namespace has no cloud-init",
        Cause::HostNoFirewallTool => "its programs are those of the machine",
        Cause::HostConntrackFull => "the size of the table is the machine's and cannot be set in a namespace",
        Cause::HostPortsExhausted => "it has no repair; a test of its own holds the connections",
        _ => return None,
    })
}

pub(super) fn scene(flavour: Flavour, two: bool) -> Scene {
    let (out, second) = if flavour == Flavour::AmazonLinux2 { ("eth0", "eth1") } else { ("ens5", "ens6") };
    let inner = if two { ("eni-inner", "subnet-private", second, 2) } else { ("eni-outer", "subnet-public", out, 1) };
    let gateway = |third| std::net::Ipv4Addr::new(10, 8, third, 1);
    Scene {
        client: InstanceId::new("i-client"),
        client_interface: NetworkInterfaceId::new("eni-client"),
        client_subnet: SubnetId::new("subnet-private"),
        client_net: "10.8.2.0/24".parse().unwrap(),
        client_table: RouteTableId::new("rtb-private"),
        vpc: VpcId::new(world::VPC),
        vpc_net: "10.8.0.0/16".parse().unwrap(),
        internet_gateway: InternetGatewayId::new(world::GATEWAY),
        nat: Nat {
            instance: InstanceId::new("i-nat"),
            inner: NetworkInterfaceId::new(inner.0),
            inner_subnet: SubnetId::new(inner.1),
            inner_device: inner.2.to_owned(),
            outer: NetworkInterfaceId::new("eni-outer"),
            outer_subnet: SubnetId::new("subnet-public"),
            outer_device: out.to_owned(),
            outer_table: RouteTableId::new("rtb-public"),
            inner_gateway: gateway(inner.3),
            outer_gateway: gateway(1),
        },
        made: BTreeMap::new(),
    }
}

/// What was tried with one cause.
struct Trial<'l> {
    lab: &'l mut Lab,
    variation: Variation,
    cause: Cause,
}

impl Trial<'_> {
    /// What the real curl gets on the private instance.
    fn fetch(&mut self, patience: f32) -> Got {
        // The handshake is small and passes.
        let path = if self.cause == Cause::HostPathMtu { "/large" } else { "/" };
        self.lab.fetch(PORT, path, patience)
    }

    fn on_nat(&mut self, script: &str) -> Result<(), String> {
        let ran = self.lab.on_nat(&format!("export PATH=/run/natdeck-lab:$PATH\n{script}"));
        if ran.code == 0 { Ok(()) } else { Err(format!("exit {}: {}", ran.code, ran.output)) }
    }

    /// The diagnosis of what natdeck's own script shows now.
    fn look(&mut self) -> Result<Diagnosis, String> {
        let gathered = self.lab.gather(self.variation.flavour);
        let host = parse_host(&gathered).map_err(|error| format!("{error}\n{gathered}"))?;
        let hosts = Hosts::from([(InstanceId::new("i-nat"), Fact::Known(host))]);
        let flow = Flow { destination_port: PORT, ..Flow::https(InstanceId::new("i-client"), IpAddr::V4(OUTSIDE)) };
        Ok(diagnose(&self.variation.network, &hosts, &flow, &Observations::default()))
    }

    fn must_pass(&mut self, when: &str) -> Result<(), String> {
        match self.fetch(PATIENCE) {
            Got::Address(NAT_PUBLIC) => Ok(()),
            other => Err(format!("{when} curl got {other:?}\n{}", self.lab.report())),
        }
    }
}

fn shown(said: &Diagnosis) -> String {
    let all: Vec<String> =
        said.findings.iter().map(|f| format!("{} ({}: {})", f.cause, f.severity, f.summary)).collect();
    format!("{}: [{}], unknown {:?}", said.disposition, all.join("; "), said.unknown)
}

/// `Ok(Some(words))`: there is no such thing here, and why.
fn try_one(lab: &mut Lab, flavour: Flavour, two: bool, cause: Cause) -> Result<Option<String>, String> {
    let scene = scene(flavour, two);
    let broken = match nat_script(&scene, cause) {
        Ok(script) => script,
        Err(words) => return Ok(Some(words.to_string())),
    };
    let mut network = world::healthy(two);
    let mut script = user_data(two);
    if matches!(cause, Cause::HostRpFilter | Cause::HostNoReturnRoute) {
        // Amazon Linux 2 begins with the strict filter, which would drop the packet before its reply is lost.
        let device = &scene.nat.inner_device;
        script.push_str(&format!("sysctl -q -w net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.{device}.rp_filter=0\n"));
    }
    if cause == Cause::HostRpFilter {
        if !two {
            return Ok(Some("packets and replies take one way".to_owned()));
        }
        world::interface(&mut network, "eni-outer").source_dest_check = false;
        script.push_str(&replies_by_outer(&scene));
    }
    let variation = Variation { seed: 0, flavour, two, network, script, port: PORT, notes: Vec::new() };
    let machine = simulated::machine(&variation);
    let ran = lab.boot(&variation, machine.kernel());
    if ran.code != 0 {
        return Err(format!("the host could not be set up: {}", ran.output));
    }
    let mut trial = Trial { lab, variation, cause };
    trial.must_pass("before anything was broken")?;
    let said = trial.look()?;
    if said.disposition != Disposition::Delivered || said.first_break().is_some() {
        return Err(format!("of the healthy host it says {}", shown(&said)));
    }
    trial.on_nat(&broken)?;
    let got = trial.fetch(SILENCE);
    if matches!(got, Got::Address(_)) {
        return Err(format!("{broken}: curl passes all the same"));
    }
    let said = trial.look()?;
    let finding = said.first_break().filter(|finding| finding.cause == cause).cloned();
    let finding = finding.ok_or_else(|| format!("after {broken} curl got {got:?}, and it says {}", shown(&said)))?;
    let fix = repair::repair(&finding, &trial.variation.network).ok_or("it has no repair")?;
    for time in ["first", "second"] {
        for step in &fix.steps {
            let Call::Repair(call) = &step.call else { return Err(format!("{} is no repair on a host", step.title)) };
            let RepairCall::RunOnHost { script, .. } = &**call else {
                return Err(format!("{} is no repair on a host", step.title));
            };
            trial.on_nat(script).map_err(|error| format!("the {time} run of its repair: {error}"))?;
        }
        trial.must_pass(&format!("after the {time} run of its repair"))?;
    }
    let said = trial.look()?;
    if said.first_break().is_some() {
        return Err(format!("after its repair it says {}", shown(&said)));
    }
    Ok(None)
}

#[test]
fn causes_on_the_host_are_found_and_repaired_on_a_real_kernel() {
    let legacy = match tools() {
        Ok(legacy) => legacy,
        Err(reason) => return not_run(&reason),
    };
    let mut lab = match Lab::new() {
        Ok(lab) => lab,
        Err(reason) => return not_run(&reason),
    };
    let one = std::env::var("NATDECK_LAB_CAUSE").ok();
    let on_host = |cause: &&Cause| cause.place() == Place::NatHost && cause.severity() == Severity::Breaks;
    let flavours: &[Flavour] =
        if legacy { &[Flavour::AmazonLinux2023, Flavour::AmazonLinux2] } else { &[Flavour::AmazonLinux2023] };
    let (mut repaired, mut wrong) = (0, Vec::new());
    for cause in Cause::ALL.iter().filter(on_host).copied() {
        if one.as_ref().is_some_and(|name| *name != cause.name()) {
            continue;
        }
        if let Some(why) = elsewhere(cause) {
            say(&format!("kernel lab: {cause} is not tried here: {why}"));
            continue;
        }
        for flavour in flavours {
            for two in [true, false] {
                let interfaces = if two { "two interfaces" } else { "one interface" };
                match try_one(&mut lab, *flavour, two, cause) {
                    Ok(None) => repaired += 1,
                    Ok(Some(words)) => say(&format!("kernel lab: {cause}, {flavour:?}, {interfaces}: {words}")),
                    Err(why) => wrong.push(format!("{cause}, {flavour:?}, {interfaces}: {why}")),
                }
            }
        }
    }
    say(&format!("kernel lab: {repaired} causes found and repaired on a real kernel, {} wrongly", wrong.len()));
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert!(repaired > 0, "nothing was tried");
}
