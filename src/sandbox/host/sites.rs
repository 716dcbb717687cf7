//! The web servers of the simulated internet. Pure. A world may answer otherwise for some of them.

use super::outside::{HttpAnswer, HttpRequest};

/// Services that answer with the address they see, and the newline that each of them puts after it.
const ADDRESS_SERVICES: &[(&str, &str)] = &[
    ("api.ipify.org", ""),
    ("api4.ipify.org", ""),
    ("checkip.amazonaws.com", "\n"),
    ("ifconfig.me", ""),
    ("icanhazip.com", "\n"),
    ("ipv4.icanhazip.com", "\n"),
    ("ipinfo.io", ""),
];

/// What a public web server answers: the address services tell the caller's address, Amazon Linux' repositories have
/// what is asked of them, other hosts have a front page and nothing else.
pub fn answer(request: &HttpRequest) -> HttpAnswer {
    let path = request.path.split('?').next().unwrap_or("/");
    let service = ADDRESS_SERVICES.iter().find(|(name, _)| request.host.eq_ignore_ascii_case(name));
    if let Some((name, newline)) = service {
        let plain = matches!(path, "/" | "/ip");
        return match () {
            () if *name == "api.ipify.org" && request.path.contains("format=json") => HttpAnswer {
                status: 200,
                content_type: "application/json".to_owned(),
                body: format!("{{\"ip\":\"{}\"}}", request.seen_from),
            },
            () if plain => HttpAnswer::text(200, format!("{}{newline}", request.seen_from)),
            () => HttpAnswer::text(404, "Not Found\n"),
        };
    }
    if is_package_repository(&request.host) {
        return HttpAnswer::text(200, "");
    }
    if path == "/" {
        return HttpAnswer {
            status: 200,
            content_type: "text/html".to_owned(),
            body: format!("<!doctype html><title>{}</title>\n", request.host),
        };
    }
    HttpAnswer::text(404, "Not Found\n")
}

/// The hosts from which `dnf` and `yum` fetch: buckets of S3 in the instance's region, and a CDN.
pub fn is_package_repository(host: &str) -> bool {
    (host.starts_with("al2023-repos-") || host.starts_with("amazonlinux-2-repos-") || host.starts_with("amazonlinux."))
        && host.ends_with(".amazonaws.com")
        || host == "cdn.amazonlinux.com"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(host: &str, path: &str) -> HttpRequest {
        HttpRequest {
            method: "GET".to_owned(),
            tls: true,
            host: host.to_owned(),
            address: [104, 26, 12, 205].into(),
            port: 443,
            path: path.to_owned(),
            seen_from: [3, 64, 126, 205].into(),
        }
    }

    #[test]
    fn address_services_tell_the_address_they_see() {
        assert_eq!(answer(&request("api.ipify.org", "/")).body, "3.64.126.205");
        assert_eq!(answer(&request("checkip.amazonaws.com", "/")).body, "3.64.126.205\n");
        assert_eq!(answer(&request("api.ipify.org", "/?format=json")).body, "{\"ip\":\"3.64.126.205\"}");
        assert_eq!(answer(&request("example.com", "/nothing")).status, 404);
    }

    #[test]
    fn repositories_are_buckets_of_the_region() {
        assert!(is_package_repository("al2023-repos-eu-central-1-de612dc2.s3.dualstack.eu-central-1.amazonaws.com"));
        assert!(!is_package_repository("example.com"));
    }
}
