//! Whom the lists of a configuration cover, as `config check`, `config edit` and `status` say it.

use serde_json::json;

use crate::support::{House, Output};

/// What `config check` warns of.
fn warned(settings: &str) -> Option<Output> {
    Some(House::new(settings)?.run(&["config", "check"]).done())
}

#[test]
fn what_does_not_exist_is_named_with_its_consequence() {
    let settings = "[policy]\nrequire = [\"Root\", \"@no-such-group\"]\nexempt = [\"no-such-user\"]\n\
                    [service.no-such-service]\nexempt = []\n";
    let Some(output) = warned(settings) else { return };
    for words in [
        "[policy] require names the user \"Root\", which does not exist: every user needs a second factor until it is",
        "[policy] require names the group \"no-such-group\", which does not exist: every user needs",
        "[policy] exempt names the user \"no-such-user\", which does not exist: it exempts no user",
        "[service.no-such-service] holds for no login: there is no service \"no-such-service\" in /etc/pam.d",
    ] {
        assert!(output.err.contains(words), "{words}: {}", output.err);
    }
    assert!(output.out.contains("[policy] require covers every user"), "{}", output.out);
    assert!(output.out.contains("[policy] exempt covers no user\n"), "{}", output.out);
}

#[test]
fn a_section_of_no_service_that_requires_something_is_named_with_its_consequence() {
    let settings = "[policy]\nrequire = []\n[service.no-such-service]\nrequire = \"everyone\"\n";
    let Some(output) = warned(settings) else { return };
    let words = "[service.no-such-service] sets require, and there is no service \"no-such-service\" in /etc/pam.d: \
                 every user needs a second factor at each service";
    assert!(output.err.contains(words), "{}", output.err);
    assert!(output.out.contains("[policy] require covers every user"), "{}", output.out);
}

#[test]
fn whom_lists_cover_is_said_as_text_and_as_json() {
    let Some(house) = House::new("[policy]\nrequire = [\"daemon\", \"@daemon\", \"bin\"]") else {
        return;
    };
    let output = house.run(&["config", "check"]).done();
    assert!(output.out.starts_with("[policy] require covers 2 users: bin and daemon\n"));
    assert_eq!(output.err, "");
    let document = house.run(&["config", "check", "--json"]).done().json();
    let entry = |entry: &str, name: &str, id: u32| json!({"entry": entry, "exists": true, "name": name, "id": id});
    let expected = json!([{
        "section": "policy",
        "key": "require",
        "entries": [entry("daemon", "daemon", 1), entry("@daemon", "daemon", 1), entry("bin", "bin", 2)],
        "everyone": false,
        "count": 2,
        "users": ["bin", "daemon"],
    }]);
    assert_eq!(document["lists"], expected);
}

#[test]
fn administrators_who_are_exempt_are_named() {
    let Some(output) = warned("[policy]\nexempt = [\"@root\", \"daemon\"]") else { return };
    let words = "[policy] exempt covers administrators: root";
    assert!(output.err.contains(words), "{}", output.err);
    assert!(output.err.contains("without a second factor."), "{}", output.err);
    assert!(!output.err.contains("daemon"), "{}", output.err);
    let Some(output) = warned("[policy]\nexempt = [\"daemon\"]") else { return };
    assert_eq!(output.err, "");
}

#[test]
fn networks_that_cover_everything_or_another_one_than_it_looks_are_named() {
    let settings = "[policy]\nexempt_networks = [\"0.0.0.0/0\", \"192.0.2.0/24\"]\n\
                    [service.sudo]\nexempt_networks = [\"10.0.0.5/8\"]";
    let Some(output) = warned(settings) else { return };
    for words in [
        "[policy] exempt_networks: 0.0.0.0/0 covers every IPv4 address",
        "[service.sudo] exempt_networks: 10.0.0.5/8 means 10.0.0.0/8 and covers 16,777,216 addresses",
    ] {
        assert!(output.err.contains(words), "{words}: {}", output.err);
    }
    assert!(!output.err.contains("192.0.2.0"), "{}", output.err);
}

#[test]
fn a_service_in_other_letters_is_said_to_be_meant() {
    let Some(output) = warned("[service.SU]\nexempt = []") else { return };
    assert!(output.err.contains("[service.SU] means the service su."), "{}", output.err);
}

#[test]
fn a_service_that_remembers_devices_and_does_not_exist_is_named() {
    let settings = "[remember]\ndays = 30\nservices = [\"no-such-service\"]";
    let Some(output) = warned(settings) else { return };
    let words = "[remember] services: there is no service \"no-such-service\" in /etc/pam.d: no device is remembered";
    assert!(output.err.contains(words), "{}", output.err);
}

#[test]
fn a_service_to_enroll_in_that_does_not_exist_is_named() {
    let settings = "[policy]\nenroll_in = [\"no-such-service\"]";
    let Some(output) = warned(settings) else { return };
    let words = "[policy] enroll_in: there is no service \"no-such-service\" in /etc/pam.d: no user enrolls";
    assert!(output.err.contains(words), "{}", output.err);
}

#[test]
fn status_refuses_names_that_do_not_exist_and_only_warns_of_what_follows_from_others() {
    let Some(house) = House::new("[policy]\nrequire = [\"Root\"]") else { return };
    let output = house.run(&["status", "--json"]);
    assert_eq!(output.code, 1, "{}", output.out);
    let said = output.json()["problems"].to_string();
    assert!(said.contains("config.toml: [policy] require names the user \\\"Root\\\""), "{said}");
    house.configure("[policy]\nexempt = [\"root\"]");
    let document = house.run(&["status", "--json"]).done().json();
    assert_eq!(document["problems"], json!([]));
    let said = document["warnings"][0].as_str().unwrap();
    assert!(said.starts_with("[policy] exempt covers administrators: root"), "{said}");
}

#[test]
fn whom_callers_may_ask_about_is_said_as_text_and_as_json() {
    let Some(house) = House::new("[callers]\nallow = { daemon = [\"bin\", \"@bin\"], sys = [] }")
    else {
        return;
    };
    let output = house.run(&["config", "check"]).done();
    let lines = "[callers] allow: daemon asks about 1 user: bin\n[callers] allow: sys asks about no other user\n";
    assert!(output.out.starts_with(lines), "{}", output.out);
    assert_eq!(output.err, "");
    let document = house.run(&["config", "check", "--json"]).done().json();
    let entry = |entry: &str| json!({"entry": entry, "exists": true, "name": "bin", "id": 2});
    let expected = json!({
        "caller": "daemon",
        "exists": true,
        "uid": 1,
        "entries": [entry("bin"), entry("@bin")],
        "count": 1,
        "users": ["bin"],
    });
    assert_eq!(document["callers"][0], expected);
    assert_eq!(house.run(&["status", "--json"]).json()["callers"][0], expected);
    let shown = house.run(&["config", "show", "--json"]).done().json();
    assert_eq!(shown["callers"]["allow"], json!({"daemon": ["bin", "@bin"], "sys": []}));
}

#[test]
fn callers_and_entries_that_allow_nothing_and_a_caller_that_is_root_are_named() {
    let settings = "[callers]\nallow = { no-such-service = [\"bin\"], daemon = [\"no-such-user\"], root = [\"bin\"] }";
    let Some(house) = House::new(settings) else { return };
    let output = house.run(&["config", "check"]).done();
    for words in [
        "[callers] allow names the caller \"no-such-service\", which does not exist: it allows no program",
        "[callers] allow of daemon names the user \"no-such-user\", which does not exist: it allows no user",
        "[callers] allow names root, which is root (uid 0) and asks about every user: take it out.",
    ] {
        assert!(output.err.contains(words), "{words}: {}", output.err);
    }
    let status = house.run(&["status", "--json"]);
    assert_eq!(status.code, 1, "{}", status.out);
    let said = status.json()["problems"].to_string();
    assert!(said.contains("config.toml: [callers] allow names the caller"), "{said}");
}
