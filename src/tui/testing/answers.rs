//! What comes back from outside: a prepared plan, the result of a check, API calls.

use super::*;
use crate::plan::{Call, Plan, PlanKind, Ref, RouteVia, Step, StepId, StepState};
use crate::reach::{EgressResult, Role as Part_, Verdict};
use crate::tui::message::Prepared;
use std::net::IpAddr;

/// A plan with steps in several states, and what is shown beside it.
pub fn prepared(kind: PlanKind) -> Prepared {
    let step = |id: &str, title: &str, reason: &str, call: Call, state: StepState| Step {
        id: StepId::new(id),
        title: title.to_owned(),
        reason: reason.to_owned(),
        call,
        waits_for: Vec::new(),
        tags: Tags::default(),
        state,
        output: None,
    };
    let eni = || Ref::<NetworkInterfaceId>::Made(StepId::new("second-interface"));
    let table = || Ref::Existing(RouteTableId::new(PRIVATE_TABLE));
    let steps = match kind {
        PlanKind::Provision => vec![
            step(
                "igw",
                "Create the internet gateway",
                "The way out of the VPC.",
                Call::CreateInternetGateway,
                StepState::Done,
            ),
            step(
                "nat-group",
                "Create the security group NAT",
                "It lets the private subnet's packets in and the NAT's own out.",
                Call::CreateSecurityGroup {
                    vpc: Ref::Existing(VpcId::new(VPC)),
                    group_name: "NAT".to_owned(),
                    description: "NAT instance".to_owned(),
                },
                StepState::ToDo,
            ),
            step(
                "second-interface",
                "Create the second interface in the private subnet",
                "Private instances send their packets to it; it is the NAT's leg in their subnet.",
                Call::CreateNetworkInterface {
                    subnet: Ref::Existing(SubnetId::new(PRIVATE)),
                    security_group: Ref::Made(StepId::new("nat-group")),
                    description: "inner interface".to_owned(),
                },
                StepState::ToDo,
            ),
            step(
                "source-dest-check",
                "Turn the source/destination check off",
                "Otherwise the interface drops every packet that is not addressed to it, which is all of a NAT's work.",
                Call::ModifyNetworkInterfaceAttribute { network_interface: eni(), source_dest_check: false },
                StepState::ToDo,
            ),
            step(
                "default-route",
                "Route 0.0.0.0/0 of private-rtb to the second interface",
                "From now on private instances leave through the NAT.",
                Call::CreateRoute {
                    route_table: table(),
                    destination: net("0.0.0.0/0"),
                    via: RouteVia::NetworkInterface(eni()),
                },
                StepState::ToDo,
            ),
        ],
        PlanKind::Repair => vec![step(
            "repair",
            "Switch the source/destination check of the inner interface off",
            "It drops what a NAT forwards.",
            Call::ModifyNetworkInterfaceAttribute { network_interface: eni(), source_dest_check: false },
            StepState::ToDo,
        )],
        PlanKind::Teardown => vec![
            step(
                "delete-route",
                "Delete the route 0.0.0.0/0 of private-rtb",
                "Private instances lose their way out first, so that nothing hangs on a NAT that goes away.",
                Call::DeleteRoute { route_table: table(), destination: net("0.0.0.0/0") },
                StepState::ToDo,
            ),
            step(
                "terminate-nat",
                "Terminate NAT-Instance",
                "It carries this stack's tag.",
                Call::TerminateInstances { instance: InstanceId::new(NAT) },
                StepState::ToDo,
            ),
        ],
    };
    let plan = Plan { stack: "nat-test".to_owned(), kind, steps, notes: Vec::new(), blockers: Vec::new() };
    let cost = vec!["$7.36 a month against $36.50 for a NAT gateway (list price, us-east-1, 2026-11)".to_owned()];
    let outputs = plan.outputs();
    Prepared { plan, outputs, cost, resumed: Vec::new() }
}

pub fn result(id: &str, verdict: Verdict) -> EgressResult {
    let ok = verdict == Verdict::ViaNat;
    EgressResult {
        instance_id: InstanceId::new(id),
        name: None,
        private_ip: Some(IpAddr::from([10, 8, 2, 120])),
        role: if id == NAT { Part_::Nat } else { Part_::Client },
        verdict,
        address: ok.then(|| IpAddr::from([3, 64, 126, 205])),
        expected_address: Some(IpAddr::from([3, 64, 126, 205])),
        latency_ms: ok.then_some(137),
        code: (verdict == Verdict::NoEgress).then(|| "HOST_IP_FORWARD_OFF".to_owned()),
        reason: (!ok).then(|| "the NAT host does not forward: net.ipv4.ip_forward is 0".to_owned()),
    }
}

pub fn call(number: u64, operation: &str, outcome: CallOutcome) -> ApiCall {
    ApiCall {
        number,
        started_at: start(),
        service: "ec2".to_owned(),
        operation: operation.to_owned(),
        latency_ms: 40 + number * 7,
        attempts: if number.is_multiple_of(4) { 2 } else { 1 },
        outcome,
        aws_cli: format!(
            "aws ec2 {} --region eu-central-1 --filters Name=vpc-id,Values={VPC}",
            operation.to_lowercase()
        ),
    }
}
