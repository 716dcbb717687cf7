//! Before the first step: does AWS let us do all of it? Every EC2 call that can be is sent with `DryRun`, so that a
//! missing permission shows before anything exists.

use futures::StreamExt as _;
use futures::stream;

use crate::aws::{self, DryRun, Session};
use crate::model::{
    AllocationId, AssociationId, AttachmentId, InstanceId, InternetGatewayId, NetworkInterfaceId, RouteTableId,
    SecurityGroupId, SubnetId, VpcEndpointId, VpcId,
};
use crate::plan::{Call, Output, Outputs, Plan, Step};

/// Dry runs under way at once.
const AT_ONCE: usize = 8;

/// A step that AWS would refuse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    /// `Create the VPC 10.8.0.0/16`.
    pub title: String,
    /// `ec2:CreateVpc`.
    pub action: String,
}

/// Which steps of the plan AWS would refuse.
///
/// What an earlier step will make is stood in for by an identifier that names nothing: AWS looks at the permission
/// first, and says that it does not exist only to those who have it. A policy whose conditions speak of a resource's
/// tags cannot be judged so, and looks like a denial.
pub async fn preflight(session: &Session, plan: &Plan) -> Result<Vec<Denied>, aws::Error> {
    let mut outputs: Outputs = plan.to_do().map(|step| (step.id.as_str().to_owned(), stand_in(&step.call))).collect();
    outputs.extend(plan.outputs());
    let ask = async |step: &Step| match Box::pin(aws::dry_run(session, step, &outputs)).await {
        Ok(DryRun::Denied { action, .. }) => Ok(Some(Denied { title: step.title.clone(), action })),
        // Whatever else AWS says of a world in which the earlier steps have not happened is no verdict on permissions.
        Err(error) if error.is_fatal() => Err(error),
        Ok(_) | Err(_) => Ok(None),
    };
    let steps: Vec<&Step> = plan.to_do().filter(|step| step.call.can_dry_run()).collect();
    let answers: Vec<Result<Option<Denied>, aws::Error>> =
        stream::iter(steps.into_iter().map(ask)).buffered(AT_ONCE).collect().await;
    let mut denied = Vec::new();
    for answer in answers {
        denied.extend(answer?);
    }
    Ok(denied)
}

/// What a step that has not run yet is taken to have made: well-formed, and nobody's.
fn stand_in(call: &Call) -> Output {
    const NOBODY: &str = "00000000000000000";
    let id = |kind: &str| format!("{kind}-{NOBODY}");
    match call {
        Call::CreateVpc { .. } => Output::Vpc(VpcId::new(id("vpc"))),
        Call::CreateSubnet { .. } => Output::Subnet(SubnetId::new(id("subnet"))),
        Call::CreateRouteTable { .. } => Output::RouteTable(RouteTableId::new(id("rtb"))),
        Call::AssociateRouteTable { .. } => Output::RouteTableAssociation(AssociationId::new(id("rtbassoc"))),
        Call::CreateInternetGateway => Output::InternetGateway(InternetGatewayId::new(id("igw"))),
        Call::CreateSecurityGroup { .. } => Output::SecurityGroup(SecurityGroupId::new(id("sg"))),
        Call::CreateVpcEndpoint { .. } => Output::VpcEndpoint(VpcEndpointId::new(id("vpce"))),
        Call::RunInstances(_) => Output::Instance {
            instance_id: InstanceId::new(id("i")),
            network_interface_id: NetworkInterfaceId::new(id("eni")),
        },
        Call::CreateNetworkInterface { .. } => Output::NetworkInterface(NetworkInterfaceId::new(id("eni"))),
        Call::AttachNetworkInterface { .. } => Output::Attachment(AttachmentId::new(id("eni-attach"))),
        Call::AllocateAddress => Output::Address {
            allocation_id: AllocationId::new(id("eipalloc")),
            public_ip: std::net::Ipv4Addr::UNSPECIFIED,
        },
        Call::AssociateAddress { .. } => Output::AddressAssociation(id("eipassoc")),
        _ => Output::None,
    }
}
