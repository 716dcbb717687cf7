//! AWS's public parameters, as far as images go.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::epoch;
use crate::sandbox::actions::ec2::IMAGES;
use crate::sandbox::world::World;

/// Where AWS publishes the newest Amazon Linux images.
const IMAGES_PATH: &str = "/aws/service/ami-amazon-linux-latest";

/// The parameter that names an image, by name or ARN.
pub(super) fn find(world: &World, name: &str) -> Option<Value> {
    let name = name.split_once(":parameter").map_or(name, |(_, rest)| rest);
    let last = name.strip_prefix(IMAGES_PATH)?.strip_prefix('/')?;
    let image = IMAGES.iter().find(|image| image.parameters.contains(&last))?;
    let modified: Timestamp = image.creation_date.parse().unwrap_or(Timestamp::UNIX_EPOCH);
    Some(json!({
        "Name": name,
        "Type": "String",
        "Value": image.image_id,
        "Version": 1,
        "LastModifiedDate": epoch(modified),
        "ARN": format!("arn:aws:ssm:{}::parameter{name}", world.region),
        "DataType": "aws:ec2:image",
    }))
}

/// All their names, in order.
pub(super) fn names() -> impl Iterator<Item = String> {
    let mut names: Vec<String> =
        IMAGES.iter().flat_map(|image| image.parameters.iter().map(|last| format!("{IMAGES_PATH}/{last}"))).collect();
    names.sort();
    names.into_iter()
}
