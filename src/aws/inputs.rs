//! What a plan needs to know before it is made, and whether what a person named exists.

use super::error::{Error, Kind};
use super::session::Session;
use crate::model::{ImageId, InstanceId, VpcId};
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

fn absent(session: &Session, noun: &str, id: &str, list: &str) -> Error {
    let message = format!("there is no {noun} {id} in {}; '{list}' lists what there is", session.region());
    Error::new(Kind::NotFound, "", message)
}
