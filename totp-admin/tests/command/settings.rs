//! `config check`, `config edit`, `config show`, and configurations that can't be used.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::time::{Duration, UNIX_EPOCH};

use serde_json::json;

use crate::support::{House, USER, now};

fn editor(house: &House, script: &str) -> String {
    let path = house.path("editor");
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    path.to_str().unwrap().to_owned()
}

fn edit(house: &House, script: &str, args: &[&str]) -> crate::support::Output {
    let editor = editor(house, script);
    let path = ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    house.run_with(&[&["config", "edit"], args].concat(), "", &[("EDITOR", &editor), path])
}

#[test]
fn check_names_line_and_column() {
    let Some(house) = House::new("[policy]\nrequire = \"everyone\"") else { return };
    house.run(&["config", "check"]).done();
    assert_eq!(house.run(&["config", "check", "--json"]).done().json()["valid"], true);
    house.configure("[policy]\nrequired = \"everyone\"");
    let output = house.run(&["config", "check"]);
    assert!(
        output.code == 1 && output.out.contains("line 2, column 1"),
        "{}{}",
        output.out,
        output.err
    );
    let document = house.run(&["config", "check", "--json"]).json();
    assert_eq!(
        (document["valid"].as_bool(), document["error"]["line"].as_u64()),
        (Some(false), Some(2))
    );
    let other = house.path("other.toml");
    fs::write(&other, "").unwrap();
    house.run(&["config", "check", other.to_str().unwrap()]).done();
    house.run(&["config", "check", "/nowhere"]).refused(&["cannot read /nowhere"]);
}

#[test]
fn what_follows_from_valid_settings_is_said() {
    let settings = "[remember]\ndays = 30\n[sms]\ncommand = [\"/nonexistent/sms\", \"{text}\"]\n\
                    [mail]\ncopy_to = [\"root@localhost\"]\nsendmail = \"/nonexistent/sendmail\"";
    let Some(house) = House::new(settings) else { return };
    let output = house.run(&["config", "check"]).done();
    for words in [
        "For 30 d the key of a remembered device alone logs in at sshd.",
        "/nonexistent/sms is not there or cannot be run: no text message is sent.",
        "[sms] {text} among the arguments shows codes to every user of this machine (ps)",
        "/nonexistent/sendmail is not there or cannot be run: mail stays in the outbox.",
    ] {
        assert!(output.err.contains(words), "{words}: {}", output.err);
    }
    assert!(!output.err.contains("nobody is told"), "{}", output.err);
    house.configure("");
    assert_eq!(house.run(&["config", "check"]).done().err, "", "there is nobody to tell");
    house.enroll(USER);
    let document = house.run(&["config", "check", "--json"]).done().json();
    let said = document["consequences"][0].as_str().unwrap();
    assert!(said.ends_with("nobody is told anything by mail."), "{said}");
    house.run(&["contact", USER, "--email", "d@example.com"]).done();
    let document = house.run(&["config", "check", "--json"]).done().json();
    assert_eq!(document["consequences"], json!([]));
}

#[test]
fn what_is_missing_or_contradicts_itself_is_said() {
    let Some(house) = House::new("") else { return };
    let file = |name: &str| house.path(name).display().to_string();
    let settings = |mail: &str| {
        format!(
            "[policy]\nenroll_by = 2026-01-31\n[service.sudo]\nenroll_by = 2026-01-30\n\
             [remember]\ndays = 30\n[sms]\ncommand = [\"/bin/true\"]\nper_hour = 3\nper_day = 2\n\
             [mail]\ntransport = \"smtps://mail.example.com\"\ndefault_to = \"root@example.com\"\n\
             user = \"web1\"\ntemplates = {:?}\n{mail}",
            file("notices")
        )
    };
    house.configure(&settings(&format!("ca_file = {:?}", file("no-ca"))));
    fs::create_dir(house.path("notices")).unwrap();
    fs::write(house.path("notices/reset.txt"), "Reset of {usr}\n\nText\n").unwrap();
    for name in ["outbox", "notices", "remembered"] {
        fs::remove_dir_all(house.path(format!("state/{name}"))).unwrap();
    }
    let output = house.run(&["config", "check"]).done();
    for words in [
        &format!("Nobody is told anything by mail or text message: {}: no", file("state/outbox")),
        &format!("neither by mail nor at the next login: {}: no", file("state/notices")),
        &format!("No device is remembered: {}: no such directory", file("state/remembered")),
        "notices/reset.txt: line 1: {usr} stands for nothing",
        "the built-in text is used.",
        "[mail] default_to has no {user}: mail for everybody goes to root@example.com.",
        "[mail] user has no password_file: nobody logs in to the mail server.",
        "no-ca: no such file; mail stays in the outbox.",
        "[sms] no argument of command has {phone}",
        "[sms] per_day = 2 is less than per_hour = 3",
        "[policy] enroll_by = 2026-01-31 is over",
        "[service.sudo] enroll_by = 2026-01-30 is over",
    ] {
        assert!(output.err.contains(words), "{words}: {}", output.err);
    }
    fs::write(house.path("password"), "secret").unwrap();
    fs::set_permissions(house.path("password"), fs::Permissions::from_mode(0o644)).unwrap();
    house.configure(&settings(&format!("password_file = {:?}", file("password"))));
    let output = house.run(&["config", "check"]).done();
    assert!(output.err.contains("[mail] password_file: ") && output.err.contains("chmod"));
    assert!(!output.err.contains("has no password_file"), "{}", output.err);
}

#[test]
fn a_configuration_that_cannot_be_used_stops_every_command_that_needs_one() {
    let Some(house) = House::unmade("[policy]\nrequired = \"everyone\"") else { return };
    for args in
        [&["list"][..], &["show", USER], &["enroll", USER, "--no-confirm"], &["config", "show"]]
    {
        house.run(args).refused(&["config.toml", "line 2", "config check"]);
    }
    house.configure("");
    fs::set_permissions(house.config(), fs::Permissions::from_mode(0o666)).unwrap();
    house.run(&["list"]).refused(&["config.toml", "chmod"]);
    fs::remove_file(house.config()).unwrap();
    house.run(&["list"]).refused(&["config.toml", "no such file"]);
}

#[test]
fn show_prints_every_setting_in_effect_as_a_configuration() {
    let Some(house) = House::new("[totp]\ndigits = 8\n[service.sudo]\nrequire = \"enrolled\"")
    else {
        return;
    };
    let shown = house.run(&["config", "show"]).done().out;
    for line in [
        "require = \"everyone\"",
        "digits = 8",
        "period = 30",
        "[service.sudo]",
        "yearly_chance = 0.001",
    ] {
        assert!(shown.contains(line), "{line} is not in:\n{shown}");
    }
    let copy = house.path("copy.toml");
    fs::write(&copy, &shown).unwrap();
    house.run(&["config", "check", copy.to_str().unwrap()]).done();
    assert_eq!(house.run(&["config", "show", "--json"]).done().json()["totp"]["digits"], 8);
}

#[test]
fn what_the_editor_leaves_is_installed_where_it_is_valid() {
    let Some(house) = House::new("# mine") else { return };
    fs::set_permissions(house.config(), fs::Permissions::from_mode(0o644)).unwrap();
    edit(&house, "sed -i 's/# mine/[totp]\\ndigits = 7/' \"$1\"", &[]).done();
    assert!(fs::read_to_string(house.config()).unwrap().starts_with("[totp]\ndigits = 7"));
    assert_eq!(fs::metadata(house.config()).unwrap().permissions().mode() & 0o777, 0o644);
    let again = edit(&house, "exit 0", &["--json"]).done().json();
    assert_eq!(again["changed"], false);
}

#[test]
fn what_is_not_valid_is_not_installed() {
    let Some(house) = House::new("# mine") else { return };
    let before = fs::read_to_string(house.config()).unwrap();
    edit(&house, "echo nonsense >> \"$1\"", &[]).refused(&["line", "is as it was"]);
    edit(&house, "exit 3", &[]).refused(&["the editor", "nothing was changed"]);
    assert_eq!(fs::read_to_string(house.config()).unwrap(), before);
    let left: Vec<_> =
        fs::read_dir(house.path("")).unwrap().flatten().map(|e| e.file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with(".edit")), "{left:?}");
}

#[test]
fn whoever_could_no_longer_log_in_is_named() {
    let Some(house) = House::new("[policy]\nrequire = \"enrolled\"") else { return };
    let output = edit(&house, "sed -i s/enrolled/everyone/ \"$1\"", &["--json"]).done();
    let document = output.json();
    assert!(
        document["locked_out"].as_array().unwrap().iter().any(|name| name == "root"),
        "{document}"
    );
    assert!(
        output.err.contains("Could no longer log in: ") && output.err.contains("root"),
        "{}",
        output.err
    );
}

#[test]
fn whoever_was_switched_off_is_named_where_that_lets_nobody_in_any_more() {
    let Some(house) = House::new("# disabled") else { return };
    house.run(&["disable", "root"]).done();
    let to_denied = "sed -i 's/# disabled/[policy]\\ndisabled = \"denied\"/' \"$1\"";
    let document = edit(&house, to_denied, &["--json"]).done().json();
    assert!(
        document["locked_out"].as_array().unwrap().iter().any(|name| name == "root"),
        "{document}"
    );
}

#[test]
fn a_change_by_somebody_else_meanwhile_is_not_overwritten() {
    let Some(house) = House::new("# mine") else { return };
    let other = format!("echo '# other' >> {}; echo '# more' >> \"$1\"", house.config().display());
    edit(&house, &other, &[]).refused(&["somebody else", "nothing was installed"]);
    let text = fs::read_to_string(house.config()).unwrap();
    assert!(text.contains("# other") && !text.contains("# more"));
}

#[test]
fn directories_that_no_login_could_use_are_named() {
    let Some(house) = House::new("# mine") else { return };
    assert_eq!(house.run(&["config", "check", "--json"]).done().json()["problems"], json!([]));
    let moved = "sed -i 's/^state_dir = .*/state_dir = \"\\/nowhere\"/' \"$1\"";
    let output = edit(&house, moved, &["--json"]).done();
    assert!(output.err.contains("Nobody could log in: /nowhere: "), "{}", output.err);
    let problem = output.json()["problems"][0].as_str().unwrap().to_owned();
    assert!(problem.starts_with("/nowhere: no such directory"), "{problem}");
    let output = house.run(&["config", "check"]).done();
    assert!(output.err.contains("/nowhere: no such directory"), "{}", output.err);
}

#[test]
fn an_edited_configuration_keeps_its_group() {
    let Some(house) = House::new("# mine") else { return };
    chown(house.config(), None, Some(4)).unwrap();
    fs::set_permissions(house.config(), fs::Permissions::from_mode(0o640)).unwrap();
    edit(&house, "echo '# more' >> \"$1\"", &[]).done();
    let found = fs::metadata(house.config()).unwrap();
    assert_eq!((found.gid(), found.mode() & 0o777), (4, 0o640));
}

#[test]
fn a_copy_that_a_killed_edit_left_is_taken_away_after_a_day() {
    let Some(house) = House::new("# mine") else { return };
    let (old, new) = (house.path(".edit-old.toml"), house.path(".edit-new.toml"));
    for path in [&old, &new] {
        fs::write(path, "").unwrap();
    }
    let two_days_ago = UNIX_EPOCH + Duration::from_secs(now().0 - 2 * 86_400);
    fs::File::open(&old).unwrap().set_modified(two_days_ago).unwrap();
    edit(&house, "exit 0", &[]).done();
    assert!(!old.exists() && new.exists());
}

#[test]
fn an_error_is_said_once() {
    let Some(house) = House::new("") else { return };
    fs::set_permissions(house.config(), fs::Permissions::from_mode(0o666)).unwrap();
    let output = house.run(&["list"]).refused(&["chmod"]);
    assert_eq!(output.err.matches("others have access").count(), 1, "{}", output.err);
}
