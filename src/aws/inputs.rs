//! What a plan needs to know before it is made, and whether what a person named exists.

use super::error::{Error, Kind};
use super::session::Session;
use crate::model::{ImageId, InstanceId, Tags, VpcId};
use crate::plan::ImageSource;

/// An image that instances can be started from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    pub image_id: ImageId,
    /// `al2023-ami-…`. Empty where AWS does not say.
    pub name: String,
    /// `arm64` or `x86_64`.
    pub architecture: String,
}

/// The image that a spec names. Fails with [`Kind::NotFound`] when AWS does not show it to this account.
pub async fn image(session: &Session, source: &ImageSource) -> Result<ImageId, Error> {
    match source {
        ImageSource::Parameter(name) => image_of_parameter(session, name).await,
        ImageSource::Image(image_id) => match image_by_id(session, image_id).await? {
            Some(image) => Ok(image.image_id),
            None => {
                let message = format!(
                    "there is no image {image_id} in {} for this account; leave the image out to take the newest \
                     Amazon Linux 2023",
                    session.region()
                );
                Err(Error::new(Kind::NotFound, "", message))
            }
        },
    }
}

/// The image that SSM's public parameter `name` points at, such as
/// `/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64`.
pub async fn image_of_parameter(session: &Session, name: &str) -> Result<ImageId, Error> {
    const OPERATION: &str = "GetParameter";
    let answer = session.ssm().get_parameter().name(name).send().await.map_err(session.on(OPERATION))?;
    let value = answer.parameter.and_then(|parameter| parameter.value);
    Ok(ImageId::new(value.ok_or(Error::missing(OPERATION, "Parameter.Value"))?))
}

/// The image with this id, if it can be used. `None`: AWS does not show it to this account (gone, private, another
/// region, or a public image older than two years).
pub async fn image_by_id(session: &Session, image_id: &ImageId) -> Result<Option<Image>, Error> {
    const OPERATION: &str = "DescribeImages";
    let request = session.ec2().describe_images().image_ids(image_id.as_str());
    let images = match request.send().await.map_err(session.on(OPERATION)) {
        Ok(answer) => answer.images.unwrap_or_default(),
        Err(error) if error.is_not_found() || error.has_code("InvalidAMIID.Malformed") => return Ok(None),
        Err(error) => return Err(error),
    };
    let image = images.into_iter().find(|image| image.image_id.as_deref() == Some(image_id.as_str()));
    Ok(image.map(|image| Image {
        image_id: image_id.clone(),
        name: image.name.unwrap_or_default(),
        architecture: image.architecture.map(|a| a.as_str().to_owned()).unwrap_or_default(),
    }))
}

/// The region's availability zones that take new resources, in AWS's order by name.
pub async fn availability_zones(session: &Session) -> Result<Vec<String>, Error> {
    const OPERATION: &str = "DescribeAvailabilityZones";
    let answer = session.ec2().describe_availability_zones().send().await.map_err(session.on(OPERATION))?;
    let mut zones: Vec<String> = (answer.availability_zones.unwrap_or_default().into_iter())
        // Local and wavelength zones have no NAT instances' sizes and cost otherwise.
        .filter(|zone| zone.zone_type.as_deref().is_none_or(|kind| kind == "availability-zone"))
        .filter(|zone| zone.state.as_ref().is_none_or(|state| state.as_str() == "available"))
        .filter_map(|zone| zone.zone_name)
        .collect();
    zones.sort();
    Ok(zones)
}

/// Fails with [`Kind::NotFound`] and the zones that there are, when `zone` is none of the region's.
pub async fn require_zone(session: &Session, zone: &str) -> Result<(), Error> {
    let zones = availability_zones(session).await?;
    if zones.iter().any(|known| known == zone) {
        return Ok(());
    }
    let known = zones.join(", ");
    let message = format!("there is no availability zone '{zone}' in {}; there are {known}", session.region());
    Err(Error::new(Kind::NotFound, "", message))
}

/// Fails with [`Kind::NotFound`] when the region has no such VPC.
pub async fn require_vpc(session: &Session, vpc_id: &VpcId) -> Result<(), Error> {
    const OPERATION: &str = "DescribeVpcs";
    match session.ec2().describe_vpcs().vpc_ids(vpc_id.as_str()).send().await.map_err(session.on(OPERATION)) {
        Ok(answer) if answer.vpcs().iter().any(|vpc| vpc.vpc_id() == Some(vpc_id.as_str())) => Ok(()),
        Ok(_) => Err(absent(session, "VPC", vpc_id.as_str(), "natdeck tree")),
        Err(error) if error.is_not_found() => Err(absent(session, "VPC", vpc_id.as_str(), "natdeck tree")),
        Err(error) => Err(error),
    }
}

/// Fails with [`Kind::NotFound`] when the region has no such instance. Otherwise tells its VPC; `None` once terminated.
pub async fn require_instance(session: &Session, instance_id: &InstanceId) -> Result<Option<VpcId>, Error> {
    const OPERATION: &str = "DescribeInstances";
    let request = session.ec2().describe_instances().instance_ids(instance_id.as_str());
    let reservations = match request.send().await.map_err(session.on(OPERATION)) {
        Ok(answer) => answer.reservations.unwrap_or_default(),
        Err(error) if error.is_not_found() => Vec::new(),
        Err(error) => return Err(error),
    };
    let mut instances = reservations.into_iter().flat_map(|reservation| reservation.instances.unwrap_or_default());
    match instances.find(|instance| instance.instance_id() == Some(instance_id.as_str())) {
        Some(instance) => Ok(instance.vpc_id.map(VpcId::new)),
        None => Err(absent(session, "instance", instance_id.as_str(), "natdeck tree")),
    }
}

/// The tags of a role, which a stack makes before the profile that holds it. `None`: there is no such role.
pub async fn role_tags(session: &Session, role_name: &str) -> Result<Option<Tags>, Error> {
    const OPERATION: &str = "GetRole";
    match session.iam().get_role().role_name(role_name).send().await.map_err(session.on(OPERATION)) {
        Ok(answer) => Ok(answer.role.map(|role| super::observe::iam_tags(role.tags.unwrap_or_default()))),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// The tags of an instance profile. `None`: there is no such profile.
pub async fn instance_profile_tags(session: &Session, name: &str) -> Result<Option<Tags>, Error> {
    const OPERATION: &str = "GetInstanceProfile";
    let request = session.iam().get_instance_profile().instance_profile_name(name);
    match request.send().await.map_err(session.on(OPERATION)) {
        Ok(answer) => {
            Ok(answer.instance_profile.map(|profile| super::observe::iam_tags(profile.tags.unwrap_or_default())))
        }
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

fn absent(session: &Session, noun: &str, id: &str, list: &str) -> Error {
    let message = format!("there is no {noun} {id} in {}; '{list}' lists what there is", session.region());
    Error::new(Kind::NotFound, "", message)
}
