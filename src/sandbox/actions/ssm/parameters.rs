//! AWS's public parameters, as far as images go. There are no others here, and none can be made.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{constraint, epoch, page, required, texts};
use crate::sandbox::actions::ec2::{IMAGES, IMAGES_PATH, PublicImage, by_parameter};
use crate::sandbox::wire::ApiError;
use crate::sandbox::world::World;

/// The image behind a parameter. A version or label after a colon is accepted when it is the first version.
fn find(name: &str) -> Option<&'static PublicImage> {
    let name = name.split_once(":parameter").map_or(name, |(_, rest)| rest);
    by_parameter(name)
}

fn describe(world: &World, name: &str, image: &PublicImage) -> Value {
    let modified: Timestamp = image.creation_date.parse().unwrap_or(Timestamp::UNIX_EPOCH);
    json!({
        "Name": name,
        "Type": "String",
        "Value": image.image_id,
        "Version": 1,
        "LastModifiedDate": epoch(modified),
        "ARN": format!("arn:aws:ssm:{}::parameter{name}", world.region),
        "DataType": "aws:ec2:image",
    })
}

pub(super) fn get(world: &World, body: &Value) -> Result<Value, ApiError> {
    let name = required(body, "Name")?;
    match find(name) {
        Some(image) => Ok(json!({ "Parameter": describe(world, name, image) })),
        None => Err(ApiError::new("ParameterNotFound", "")),
    }
}

pub(super) fn get_many(world: &World, body: &Value) -> Result<Value, ApiError> {
    let names = texts(body, "Names")?;
    if names.is_empty() || names.len() > 10 {
        return Err(constraint(&json!(names), "names", "Member must have length between 1 and 10"));
    }
    let unique: BTreeSet<&String> = names.iter().collect();
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for name in unique {
        match find(name) {
            Some(image) => found.push(describe(world, name, image)),
            None => missing.push(name.clone()),
        }
    }
    Ok(json!({ "Parameters": found, "InvalidParameters": missing }))
}

pub(super) fn get_by_path(world: &World, body: &Value) -> Result<Value, ApiError> {
    let path = required(body, "Path")?.trim_end_matches('/');
    let recursive = body.get("Recursive").and_then(Value::as_bool).unwrap_or(false);
    let below = path == IMAGES_PATH || (recursive && IMAGES_PATH.starts_with(&format!("{path}/")));
    let mut names: Vec<(String, &PublicImage)> = IMAGES
        .iter()
        .filter(|_| below)
        .flat_map(|image| image.parameters.iter().map(move |last| (format!("{IMAGES_PATH}/{last}"), image)))
        .collect();
    names.sort_by(|(a, _), (b, _)| a.cmp(b));
    let entries = names.iter().map(|(name, image)| describe(world, name, image)).collect();
    page(body, "Parameters", entries, 10, 1, 10)
}
