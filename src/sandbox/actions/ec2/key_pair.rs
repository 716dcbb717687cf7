//! Key pairs. The sandbox never makes key material that would open anything real.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::describe::{Filters, maybe, one};
use super::{Answer, iso8601, tag};
use crate::sandbox::wire::{ApiError, Body, Query, Xml};
use crate::sandbox::world::{KeyPair, World};

fn check_new(world: &World, query: &Query) -> Result<String, ApiError> {
    let name = query.require("KeyName")?;
    if name.len() > 255 {
        return Err(ApiError::invalid_value("The key pair name must not be longer than 255 characters."));
    }
    if world.records.key_pairs.contains_key(name) {
        return Err(ApiError::new("InvalidKeyPair.Duplicate", format!("The keypair already exists: {name}")));
    }
    Ok(name.to_owned())
}

fn head(pair: &KeyPair) -> Xml {
    Xml::new()
        .text("keyPairId", &pair.key_pair_id)
        .text("keyFingerprint", &pair.fingerprint)
        .text("keyName", &pair.key_name)
        .items("tagSet", tag::xml(&pair.tags))
}

fn fingerprint(world: &mut World, bytes: usize) -> String {
    let digits: Vec<String> = (0..bytes).map(|_| format!("{:02x}", world.random(|rng| rng.u8(..)))).collect();
    digits.join(":")
}

/// CreateKeyPair: the private half in the answer is a placeholder in PEM's clothes.
pub fn create(world: &mut World, query: &Query) -> Answer {
    let key_name = check_new(world, query)?;
    let key_type = query.get("KeyType").unwrap_or("rsa").to_owned();
    if !matches!(key_type.as_str(), "rsa" | "ed25519") {
        return Err(ApiError::invalid_value(format!("Value ({key_type}) for parameter keyType is invalid.")));
    }
    let tags = tag::specified(query, "key-pair")?;
    let pair = KeyPair {
        key_pair_id: world.new_id("key-"),
        key_name,
        fingerprint: fingerprint(world, 20),
        key_type,
        public_key: None,
        created_at: world.now,
        tags,
    };
    let body = STANDARD.encode("this key belongs to the sandbox and opens nothing");
    let material = format!("-----BEGIN RSA PRIVATE KEY-----\n{body}\n-----END RSA PRIVATE KEY-----");
    let answer = head(&pair).text("keyMaterial", material);
    world.records.key_pairs.insert(pair.key_name.clone(), pair);
    Ok(Body::Xml(answer))
}

/// ImportKeyPair
pub fn import(world: &mut World, query: &Query) -> Answer {
    let key_name = check_new(world, query)?;
    let invalid = || ApiError::new("InvalidKey.Format", "Key is not in valid OpenSSH public key format");
    let material = query.require("PublicKeyMaterial")?;
    let decoded = STANDARD.decode(material.trim()).map_err(|_| invalid())?;
    let text = String::from_utf8(decoded).map_err(|_| invalid())?;
    let key_type = match text.split_whitespace().next() {
        Some("ssh-rsa") => "rsa",
        Some("ssh-ed25519") => "ed25519",
        _ => return Err(invalid()),
    };
    let tags = tag::specified(query, "key-pair")?;
    let pair = KeyPair {
        key_pair_id: world.new_id("key-"),
        key_name,
        key_type: key_type.to_owned(),
        fingerprint: fingerprint(world, 16),
        public_key: Some(text),
        created_at: world.now,
        tags,
    };
    let answer = head(&pair);
    world.records.key_pairs.insert(pair.key_name.clone(), pair);
    Ok(Body::Xml(answer))
}

/// DescribeKeyPairs
pub fn describe_key_pairs(world: &World, query: &Query) -> Answer {
    let filters = Filters::parse(query)?;
    let (names, ids) = (query.list("KeyName"), query.list("KeyPairId"));
    let public = query.bool("IncludePublicKey")?.unwrap_or(false);
    let pairs = &world.records.key_pairs;
    if let Some(name) = names.iter().find(|name| !pairs.contains_key(**name)) {
        return Err(ApiError::new("InvalidKeyPair.NotFound", format!("The key pair '{name}' does not exist")));
    }
    if let Some(id) = ids.iter().find(|id| !pairs.values().any(|pair| pair.key_pair_id == **id)) {
        return Err(ApiError::new("InvalidKeyPair.NotFound", format!("The key pair ID '{id}' does not exist")));
    }
    let mut rows = Vec::new();
    for pair in pairs.values() {
        let named = names.is_empty() || names.contains(&pair.key_name.as_str());
        if !named || !ids.is_empty() && !ids.contains(&pair.key_pair_id.as_str()) {
            continue;
        }
        let accepted = filters.accept(&pair.tags, |name| match name {
            "key-name" => one(&pair.key_name),
            "key-pair-id" => one(&pair.key_pair_id),
            "fingerprint" => maybe(Some(&pair.fingerprint)),
            _ => None,
        })?;
        if accepted {
            let key = pair.public_key.as_ref().filter(|_| public);
            let row = head(pair)
                .text("keyType", &pair.key_type)
                .opt("publicKey", key)
                .text("createTime", iso8601(pair.created_at));
            rows.push(row);
        }
    }
    Ok(Body::Xml(Xml::new().items("keySet", rows)))
}

/// DeleteKeyPair: one that does not exist is as good as deleted.
pub fn delete(world: &mut World, query: &Query) -> Answer {
    let id = match (query.get("KeyName"), query.get("KeyPairId")) {
        (Some(name), _) => world.records.key_pairs.remove(name).map(|pair| pair.key_pair_id),
        (None, Some(id)) => {
            world.records.key_pairs.retain(|_, pair| pair.key_pair_id != id);
            Some(id.to_owned())
        }
        (None, None) => return Err(ApiError::missing("KeyName")),
    };
    Ok(Body::Xml(Xml::new().text("return", true).opt("keyPairId", id)))
}
