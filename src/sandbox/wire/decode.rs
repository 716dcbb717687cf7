//! Tells which service, action and parameters an HTTP request means.

use super::{ApiError, Params, Query, Request, Service};

/// Decodes one request.
///
/// The service is told by the `x-amz-target` header (SSM), else by the credential scope of the signature
/// (`…/eu-central-1/ec2/aws4_request`), else by the API version in the form. Signatures are not verified.
pub fn decode(method: &str, path: &str, headers: &[(String, String)], body: &[u8]) -> Result<Request, ApiError> {
    let header = |name: &str| headers.iter().find(|(k, _)| k.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str());

    if let Some(target) = header("x-amz-target") {
        return decode_json(target, body);
    }

    let mut pairs: Vec<(String, String)> = Vec::new();
    if let Some((_, query)) = path.split_once('?') {
        pairs.extend(form_urlencoded::parse(query.as_bytes()).into_owned());
    }
    if method.eq_ignore_ascii_case("POST") {
        pairs.extend(form_urlencoded::parse(body).into_owned());
    }
    let form: Query = pairs.into_iter().collect();

    let action = form
        .get("Action")
        .filter(|action| !action.is_empty())
        .ok_or_else(|| ApiError::new("MissingAction", "The request must contain the parameter Action"))?
        .to_owned();
    let version = form.get("Version").unwrap_or_default();
    let service = header("authorization")
        .and_then(scope_service)
        .or_else(|| form.get("X-Amz-Credential").and_then(credential_service))
        .or(match version {
            "2016-11-15" => Some(Service::Ec2),
            "2010-05-08" => Some(Service::Iam),
            "2011-06-15" => Some(Service::Sts),
            _ => None,
        })
        .ok_or_else(|| {
            ApiError::new(
                "InvalidAction",
                format!("Could not tell the service of action {action} with version '{version}': the sandbox answers for ec2, iam, sts and ssm"),
            )
        })?;
    Ok(Request { service, action, params: Params::Query(form.without(&["Action", "Version"])) })
}

fn decode_json(target: &str, body: &[u8]) -> Result<Request, ApiError> {
    let Some(("AmazonSSM", action)) = target.split_once('.') else {
        return Err(ApiError::new("UnknownOperationException", format!("Unknown target '{target}'")));
    };
    let body = if body.is_empty() { b"{}" } else { body };
    let value = serde_json::from_slice(body)
        .map_err(|error| ApiError::new("SerializationException", format!("The body is not JSON: {error}")))?;
    Ok(Request { service: Service::Ssm, action: action.to_owned(), params: Params::Json(value) })
}

/// `AWS4-HMAC-SHA256 Credential=AKID/20260101/eu-central-1/ec2/aws4_request, …`
fn scope_service(authorization: &str) -> Option<Service> {
    let (_, credential) = authorization.split_once("Credential=")?;
    credential_service(credential.split([',', ' ']).next()?)
}

fn credential_service(credential: &str) -> Option<Service> {
    let mut parts = credential.rsplit('/');
    parts.next().filter(|last| *last == "aws4_request")?;
    Service::from_scope(parts.next()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn the_service_is_told_by_target_scope_or_version() {
        let ssm = decode("POST", "/", &headers(&[("X-Amz-Target", "AmazonSSM.SendCommand")]), b"{\"a\":1}").unwrap();
        assert_eq!((ssm.service, ssm.action.as_str(), &ssm.body()["a"]), (Service::Ssm, "SendCommand", &1.into()));

        let scope = "AWS4-HMAC-SHA256 Credential=AK/20260101/eu-central-1/iam/aws4_request, SignedHeaders=host";
        let iam = decode("POST", "/", &headers(&[("authorization", scope)]), b"Action=GetRole&Version=x").unwrap();
        assert_eq!(iam.service, Service::Iam);

        let ec2 = decode("POST", "/", &[], b"Action=DescribeVpcs&Version=2016-11-15&VpcId.1=a%2Fb+c").unwrap();
        assert_eq!((ec2.service, ec2.form().get("VpcId.1")), (Service::Ec2, Some("a/b c")));
    }

    #[test]
    fn a_request_without_an_action_is_refused() {
        assert_eq!(decode("POST", "/", &[], b"").unwrap_err().code, "MissingAction");
        let target = headers(&[("x-amz-target", "DynamoDB_20120810.ListTables")]);
        assert_eq!(decode("POST", "/", &target, b"").unwrap_err().code, "UnknownOperationException");
    }
}
