//! One POST to an outlet: no redirect is followed, no proxy of the environment is used, and an address of a private network
//! is refused unless the outlet is set to be there.
//!
//! The address is looked at where it is connected to: a name that leads elsewhere the next time is judged again.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Client, Url, redirect};

use super::{Limits, Outlet};

/// The names of the headers. Source: Standard Webhooks 1.0.0, "Webhook headers".
const ID: &str = "webhook-id";
const TIMESTAMP: &str = "webhook-timestamp";
const SIGNATURE: &str = "webhook-signature";

/// Why an outlet cannot be told anything.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// Its address is none.
    #[error("`url` is no address on the web")]
    NoUrl,
    /// Its address is within a private network.
    #[error("`url` leads into a private network; set `private = true` if that is meant")]
    Private,
    /// What it is told would cross a network in plain text.
    #[error("`url` has to begin with https://; plain http is for outlets with `private = true`")]
    Plain,
    /// The HTTP client could not be made.
    #[error("the HTTP client cannot be made: {0}")]
    Client(#[from] reqwest::Error),
}

/// What an outlet answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// It took it.
    Taken {
        /// The status.
        status: u16,
    },
    /// It did not, or nobody knows.
    NotTaken {
        /// The status, if there was one.
        status: Option<u16>,
        /// What is the matter.
        reason: String,
        /// When it wants to be asked again, in seconds.
        retry_after_seconds: Option<u32>,
    },
}

/// The way to one outlet.
#[derive(Clone)]
pub(super) struct Post {
    client: Client,
    url: Url,
    outlet: Arc<Outlet>,
}

impl Post {
    /// # Errors
    /// When the address of the outlet is not one that may be posted to.
    pub(super) fn new(outlet: Arc<Outlet>, limits: &Limits) -> Result<Self, Unfit> {
        let url = Url::parse(&outlet.url).map_err(|_| Unfit::NoUrl)?;
        let host = url.host_str().ok_or(Unfit::NoUrl)?.trim_matches(['[', ']']).to_owned();
        if !outlet.private {
            // A literal address is looked up nowhere.
            if host.parse().is_ok_and(|ip| !is_public(ip)) {
                return Err(Unfit::Private);
            }
            if url.scheme() != "https" {
                return Err(Unfit::Plain);
            }
        }
        // Another client may have done it before.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .redirect(redirect::Policy::none())
            .no_proxy()
            .timeout(limits.timeout)
            .connect_timeout(limits.connect_timeout)
            .user_agent(concat!("switchboard/", env!("CARGO_PKG_VERSION")));
        let client = if outlet.private { client } else { client.dns_resolver(Arc::new(PublicOnly)) };
        Ok(Self { client: client.build()?, url, outlet })
    }

    /// Posts `body` under this id at `now_seconds`.
    pub(super) async fn post(&self, id: &str, body: String, now_seconds: i64) -> Answer {
        let signature = self.outlet.signer.sign(id, now_seconds, &body);
        let request = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header(ID, id)
            .header(TIMESTAMP, now_seconds)
            .header(SIGNATURE, signature)
            .body(body);
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => {
                return Answer::NotTaken { status: None, reason: trouble(&error), retry_after_seconds: None };
            }
        };
        let status = response.status();
        if status.is_success() {
            return Answer::Taken { status: status.as_u16() };
        }
        let after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let reason = if status.is_redirection() {
            format!("it answered {status}; redirects are not followed: set its `url` to where it leads")
        } else {
            format!("it answered {status}")
        };
        Answer::NotTaken { status: Some(status.as_u16()), reason, retry_after_seconds: after }
    }
}

/// What is the matter, down to its cause. The address is the operator's own and stands in the configuration.
fn trouble(error: &reqwest::Error) -> String {
    use std::error::Error as _;
    let mut words = if error.is_timeout() {
        "it did not answer in time".to_owned()
    } else {
        "it cannot be reached".to_owned()
    };
    let mut cause = error.source();
    while let Some(error) = cause {
        if error.source().is_none() {
            words = format!("{words}: {error}");
        }
        cause = error.source();
    }
    words
}

/// Resolves names to public addresses alone.
struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let all = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<SocketAddr> = all.filter(|address| is_public(address.ip())).collect();
            if public.is_empty() {
                return Err(
                    "its name leads into a private network; set `private = true` if that is meant".into()
                );
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

/// Whether an address is one of the public internet, as far as the registries of special addresses say.
/// Source: IANA, special-purpose address registries (RFC 6890).
fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let special = ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_broadcast()
        || ip.is_documentation()
        || ip.is_multicast()
        || a == 0
        // Shared between providers and their customers (RFC 6598).
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        // Benchmarks (RFC 2544), and what is reserved.
        || (a == 198 && (18..20).contains(&b))
        || a >= 240;
    !special
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    if let Some(mapped) = ip.to_ipv4_mapped() {
        return is_public_v4(mapped);
    }
    let segments = ip.segments();
    // Global unicast is 2000::/3; within it, documentation, tunnels that carry an IPv4 address, and 2001::/23.
    let global = segments[0] & 0xe000 == 0x2000;
    let special =
        (segments[0] == 0x2001 && (segments[1] < 0x0200 || segments[1] == 0x0db8)) || segments[0] == 0x2002;
    global && !special
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::Filter;
    use crate::outlet::Signer;
    use std::time::Duration;

    fn outlet(url: &str, private: bool) -> Arc<Outlet> {
        let signer = Signer::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        Arc::new(Outlet { name: "crm".into(), url: url.into(), signer, filter: Filter::default(), private })
    }

    fn limits() -> Limits {
        let second = Duration::from_secs(1);
        Limits {
            in_flight_max: 1,
            timeout: second,
            connect_timeout: second,
            deadline: second,
            pause_max: second,
            backlog_max: 1,
        }
    }

    #[test]
    fn a_private_address_is_refused_unless_it_is_meant() {
        for url in [
            "https://10.1.2.3/hook",
            "https://[::1]/",
            "https://127.0.0.1:9",
            "https://[::ffff:192.168.0.1]/",
        ] {
            assert!(matches!(Post::new(outlet(url, false), &limits()), Err(Unfit::Private)), "{url}");
            assert!(Post::new(outlet(url, true), &limits()).is_ok(), "{url}");
        }
        assert!(matches!(Post::new(outlet("http://example.com/", false), &limits()), Err(Unfit::Plain)));
        assert!(Post::new(outlet("https://example.com/hook?x=1", false), &limits()).is_ok());
    }

    #[test]
    fn what_is_special_is_not_public() {
        for special in [
            "0.0.0.0",
            "10.0.0.1",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "192.0.0.1",
            "192.168.1.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fe80::1",
            "fc00::1",
            "ff02::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "2001::1",
            "64:ff9b::7f00:1",
            "::ffff:10.0.0.1",
        ] {
            assert!(!is_public(special.parse().unwrap()), "{special}");
        }
        for public in
            ["8.8.8.8", "100.128.0.1", "172.32.0.1", "2606:4700::1111", "2a00:1450::1", "::ffff:8.8.8.8"]
        {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
    }

    #[tokio::test]
    async fn a_name_that_leads_into_a_private_network_is_not_resolved() {
        let resolved = PublicOnly.resolve("localhost".parse().unwrap()).await;
        assert!(resolved.is_err_and(|error| error.to_string().contains("private network")));
    }
}
