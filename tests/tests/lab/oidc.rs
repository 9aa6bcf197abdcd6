//! Signing in with a provider of OpenID Connect: who gets which account, and which answers are refused.

use std::fs;

use scenarios::provider::Provider;
use scenarios::{Answer, Client, Lab};
use serde_json::{Value, json};

/// A sign-in that the lab has sent to the provider.
struct Begun {
    /// Address at the provider.
    address: String,
    /// Cookie of the browser.
    cookie: String,
}

fn begin(lab: &Lab) -> Begun {
    let answer = Client::anonymous(&lab.address()).send("GET", "/oidc/start?return=/runs?q=fox", &[], b"");
    assert_eq!(answer.status, 302, "{answer:?}");
    Begun { address: answer.header("location").to_owned(), cookie: cookie_of(&answer) }
}

fn cookie_of(answer: &Answer) -> String {
    answer.header("set-cookie").split(';').next().unwrap().to_owned()
}

/// The path to which the provider sends the browser back.
fn back(lab: &Lab, provider: &Provider, begun: &Begun, form: &str) -> String {
    let answer = provider.send_form(&begun.address, form);
    assert_eq!(answer.status, 302, "{answer:?}");
    let address = answer.header("location");
    let own = format!("http://{}", lab.address());
    address.strip_prefix(&own).unwrap_or_else(|| panic!("{address} is not of the lab")).to_owned()
}

fn finish(lab: &Lab, path: &str, cookie: &str) -> Answer {
    Client::anonymous(&lab.address()).send("GET", path, &[("cookie", cookie)], b"")
}

/// Who signs in as the person `sub` of the provider.
fn sign_in(lab: &Lab, provider: &Provider, sub: &str) -> Value {
    let begun = begin(lab);
    let answer = finish(lab, &back(lab, provider, &begun, &format!("sub={sub}")), &begun.cookie);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.text().contains("url=/runs?q=fox\""), "{}", answer.text());
    let session = Client { address: lab.address(), credentials: Some(("cookie", cookie_of(&answer))) };
    session.get("/me").read()
}

#[test]
fn people_sign_in_with_a_provider_and_get_no_account_of_somebody_else() {
    let provider = Provider::with_people(&[
        json!({ "sub": "7", "preferred_username": "grace", "email": "grace@example.org", "email_verified": true }),
        json!({ "sub": "8", "preferred_username": "Grace", "email": "other@example.org" }),
    ]);
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    fs::write(&secret, "the secret\n").unwrap();
    let lab = Lab::bare_with(&[
        "--oidc-issuer",
        &provider.url(),
        "--oidc-client-id",
        "kindling",
        "--oidc-client-secret-file",
        secret.to_str().unwrap(),
        "--oidc-name",
        "Example",
        "--oidc-role",
        "view",
    ]);
    let info: Value = Client::anonymous(&lab.address()).get("/session").read();
    assert_eq!(info["provider"], "Example");

    let grace = sign_in(&lab, &provider, "7");
    assert_eq!((&grace["name"], &grace["grants"]["lab"]), (&json!("grace"), &json!("view")));
    assert_eq!(sign_in(&lab, &provider, "7")["person"], grace["person"], "the second time it is the same account");
    let other = sign_in(&lab, &provider, "8");
    assert_eq!((&other["name"], other["person"] == grace["person"]), (&json!("Grace 2"), false));
    let people: Value = lab.owner().get("/people").read();
    let emails: Vec<&Value> = people.as_array().unwrap().iter().map(|person| &person["email"]).collect();
    assert_eq!(emails, [&json!("grace@example.org"), &Value::Null], "one that is not verified is not kept: {people}");

    let begun = begin(&lab);
    let path = back(&lab, &provider, &begun, "sub=7");
    let elsewhere = begin(&lab);
    assert_eq!(finish(&lab, &path, &elsewhere.cookie).status, 401, "another browser");
    assert_eq!(finish(&lab, &path, &begun.cookie).status, 401, "a refused answer is used up");
    let begun = begin(&lab);
    let path = back(&lab, &provider, &begun, "sub=7");
    assert_eq!(finish(&lab, &path, &begun.cookie).status, 200);
    assert_eq!(finish(&lab, &path, &begun.cookie).status, 401, "an answer works once");
    let begun = begin(&lab);
    let denied = finish(&lab, &back(&lab, &provider, &begun, "action=deny"), &begun.cookie);
    assert!(denied.status == 401 && denied.text().contains("Example refused the sign-in"), "{denied:?}");
    assert!(denied.header("set-cookie").is_empty());
    let text = "error=access_denied&error_description=Call+this+number";
    let (begun, other) = (begin(&lab), begin(&lab));
    let state = begun.address.split("state=").nth(1).unwrap().split('&').next().unwrap();
    for (path, cookie) in [
        (format!("/oidc/callback?{text}"), begun.cookie.as_str()),
        (format!("/oidc/callback?{text}&state=invented"), ""),
        (format!("/oidc/callback?{text}&state={state}"), other.cookie.as_str()),
    ] {
        let answer = finish(&lab, &path, cookie);
        assert!(answer.status == 401 && !answer.text().contains("Call this number"), "{path}: {answer:?}");
    }
    let begun = begin(&lab);
    let state = begun.address.split("state=").nth(1).unwrap().split('&').next().unwrap();
    let answer = finish(&lab, &format!("/oidc/callback?{text}&state={state}"), &begun.cookie);
    assert!(answer.status == 401 && answer.text().contains("access_denied: Call this number"), "{answer:?}");

    // A removed person stays out until an admin lets the account in again.
    let (owner, grace) = (lab.owner(), &grace["person"]);
    assert_eq!(owner.delete(&format!("/people/{grace}")).status, 204);
    let begun = begin(&lab);
    let refused = finish(&lab, &back(&lab, &provider, &begun, "sub=7"), &begun.cookie);
    assert!(refused.status == 403 && refused.text().contains("has removed the person"), "{refused:?}");
    let removed: Value = owner.get("/removed-accounts").read();
    assert_eq!((removed.as_array().unwrap().len(), &removed[0]["name"]), (1, &json!("grace")));
    assert_eq!(owner.delete(&format!("/removed-accounts/{}", removed[0]["id"])).status, 204);
    assert_eq!(owner.delete(&format!("/removed-accounts/{}", removed[0]["id"])).status, 404);
    let again = sign_in(&lab, &provider, "7");
    assert!(again["name"] == "grace" && again["person"] != *grace, "somebody new: {again}");

    let invented = format!("/oidc/callback?code=x&state={}", "y".repeat(22));
    assert_eq!(finish(&lab, &invented, &begun.cookie).status, 401);
    let page: Value = lab.owner().get("/audit?q=OpenID").read();
    let statuses: Vec<&Value> = page["entries"].as_array().unwrap().iter().map(|entry| &entry["status"]).collect();
    assert!(statuses.contains(&&json!(200)) && statuses.contains(&&json!(401)), "{page}");
    assert!(!page.to_string().contains("code="), "{page}");
}
