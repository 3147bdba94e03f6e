//! Logins through libpam, against a store: prompts, return values, lines of the log.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use crate::support::site::{Site, code, wrong_code};
use crate::support::{Stack, built};

// The return values of `<security/_pam_types.h>`.
const SUCCESS: &str = "auth = 0\n";
const SERVICE_ERR: &str = "auth = 3\n";
const SYSTEM_ERR: &str = "auth = 4\n";
const AUTH_ERR: &str = "auth = 7\n";
const CONV_ERR: &str = "auth = 19\n";

const OVER_SSH: [&str; 2] = ["rhost=192.0.2.1", "tty=ssh"];

/// An installation with alice enrolled, and the module alone in a stack; `None` without root.
fn house(arguments: &str) -> Option<(Site, Stack)> {
    let Some(site) = Site::new() else {
        // Nothing is printed: `make test` says what is left out without root.
        return None;
    };
    site.enroll_alice();
    let stack = Stack::new(&site.line(arguments));
    Some((site, stack))
}

/// What the person sees, without the log.
fn seen(shown: &str) -> String {
    shown.lines().filter(|line| !line.starts_with("log ")).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_right_code_lets_in_once() {
    let Some((_site, stack)) = house("") else { return };
    let code = format!("={}", code());
    let shown = stack.run(&OVER_SSH, &["auth", &code]);
    assert_eq!(
        shown,
        "ask: Verification code (? for help): \n\
         log 6: pam_totp(test:auth): accepted totp for alice from 192.0.2.1 authenticator=phone drift=0\n\
         auth = 0\nhost goes on\n"
    );
    let again = stack.run(&OVER_SSH, &["auth", &code, &code]);
    assert!(again.contains("reason=replay user=alice authenticator=phone\n"), "{again}");
    assert!(again.contains(AUTH_ERR), "{again}");
}

#[test]
fn wrong_codes_get_a_second_prompt_a_reason_each_and_one_failure_line() {
    let Some((_site, stack)) = house("") else { return };
    let wrong = format!("={}", wrong_code());
    let shown = stack.run(&OVER_SSH, &["auth", &wrong, "=not a code"]);
    assert_eq!(
        shown,
        "ask: Verification code (? for help): \n\
         log 5: pam_totp(test:auth): reason=wrong user=alice\n\
         ask: Not accepted. Enter the next code when your authenticator shows it: \n\
         log 5: pam_totp(test:auth): reason=wrong user=alice\n\
         tell: Not accepted. If your codes were right, type three in a row at the first prompt.\n\
         log 5: pam_totp(test:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= \
         rhost=192.0.2.1  user=alice\n\
         delay of 2 s or so\nauth = 7\nhost goes on\n"
    );
}

#[test]
fn nobody_sees_who_is_enrolled() {
    let Some((site, stack)) = house("") else { return };
    let wrong = format!("={}", wrong_code());
    let steps = ["auth", &wrong, "=junk"];
    let enrolled = seen(&stack.run(&OVER_SSH, &steps));
    for name in ["nobody-here", "root", "", "../evil/f", "a b", "\u{e9}"] {
        let user = format!("user={name}");
        let shown = stack.run(&OVER_SSH, &[&user, "auth", &wrong, "=junk"]);
        assert_eq!(seen(&shown), enrolled, "{name:?}");
        let reason = if name == "root" { "reason=not-enrolled" } else { "reason=no-account" };
        assert_eq!(shown.matches(reason).count(), 2, "{shown}");
    }
    fs::write(site.path("state/users/alice.toml"), "garbage").expect("damaging the record");
    let damaged = stack.run(&OVER_SSH, &steps);
    assert_eq!(seen(&damaged), enrolled);
    assert_eq!(damaged.matches("reason=record-damaged user=alice").count(), 2, "{damaged}");
}

#[test]
fn no_reply_of_any_kind_is_a_conversation_error() {
    let Some((_site, stack)) = house("") else { return };
    for reply in ["no-array", "null", "error", "none"] {
        let shown = stack.run(&[&format!("reply={reply}")], &["auth"]);
        assert!(shown.contains("reason=no-reply user=alice\n"), "{reply}: {shown}");
        assert!(shown.contains(CONV_ERR), "{reply}: {shown}");
    }
}

#[test]
fn nodelay_asks_for_no_delay_and_echo_shows_what_is_typed() {
    let Some((_site, stack)) = house("nodelay echo prompts=1 [prompt=One-time code, please: ]")
    else {
        return;
    };
    let shown = seen(&stack.run(&OVER_SSH, &["auth", "=11"]));
    assert_eq!(
        shown,
        "ask aloud: One-time code, please: \n\
         tell: Not accepted. If your codes were right, type three in a row at the first prompt.\n\
         auth = 7\nhost goes on"
    );
}

#[test]
fn who_is_not_required_is_not_asked_and_the_log_says_so() {
    let Some((site, _)) = house("") else { return };
    let stack = Stack::new(&format!("{}\nauth required pam_permit.so", site.line("nullok")));
    let shown = stack.run(&OVER_SSH, &["user=bob", "auth"]);
    assert_eq!(
        shown,
        "log 6: pam_totp(test:auth): not asked for bob: not required\nauth = 0\nhost goes on\n"
    );
    let alice = stack.run(&OVER_SSH, &["auth", "=11", "=22"]);
    assert!(alice.contains(AUTH_ERR), "{alice}");
}

#[test]
fn trouble_with_the_store_denies_everybody_before_any_prompt() {
    let Some((site, stack)) = house("nullok") else { return };
    fs::rename(site.path("state/users"), site.path("state/elsewhere")).expect("mv");
    for user in ["user=alice", "user=bob"] {
        let shown = stack.run(&OVER_SSH, &[user, "auth", "=11", "=22"]);
        assert!(!shown.contains("ask"), "{shown}");
        assert!(shown.contains("reason=unavailable"), "{shown}");
        assert!(shown.contains(SYSTEM_ERR), "{shown}");
    }
}

#[test]
fn whoever_is_exempt_is_exempt_whatever_has_become_of_the_store() {
    let Some((site, _)) = house("") else { return };
    site.configure("[policy]\nexempt = [\"root\"]");
    fs::rename(site.path("state/users"), site.path("state/elsewhere")).expect("mv");
    let stack = Stack::new(&format!("{}\nauth required pam_permit.so", site.line("")));
    let shown = stack.run(&[], &["user=root", "auth"]);
    assert!(shown.contains("not asked for root: exempt\n") && shown.contains(SUCCESS), "{shown}");
}

#[test]
fn a_bad_or_missing_configuration_denies_and_says_where() {
    let Some((site, stack)) = house("") else { return };
    site.configure("[policy]\nrequired = \"hunter2\"");
    let shown = stack.run(&[], &["auth", "=11"]);
    assert!(shown.contains("config.toml: line 2, column 1: "), "{shown}");
    assert!(shown.contains(SERVICE_ERR) && !shown.contains("ask"), "{shown}");
    assert!(!shown.contains("hunter2"), "{shown}");
    fs::remove_file(site.path("config.toml")).expect("rm");
    let shown = stack.run(&[], &["auth", "=11"]);
    assert!(shown.contains("config.toml: no such file"), "{shown}");
    assert!(shown.contains(SERVICE_ERR), "{shown}");
}

#[test]
fn forward_pass_parts_the_answer_and_leaves_the_password() {
    let Some((site, _)) = house("") else { return };
    let stack = Stack::new(&format!("{}\nauth optional PROBE", site.line("forward_pass")));
    let combined = format!("=pass,word,{}", code());
    let shown = seen(&stack.run(&[], &["auth", &combined]));
    assert_eq!(
        shown,
        "ask: Password and verification code, together: \n\
         behind: pass,word\nauth = 0\nhost goes on"
    );
}

#[test]
fn use_first_pass_never_asks() {
    let Some((site, _)) = house("") else { return };
    let stack = Stack::new(&site.line("use_first_pass"));
    let shown = seen(&stack.run(&[], &["auth", "=11"]));
    assert_eq!(shown, "delay of 2 s or so\nauth = 7\nhost goes on");
}

#[test]
fn the_mark_is_for_who_passed_and_gone_at_the_next_auth() {
    let Some((site, _)) = house("") else { return };
    let account = site.line("debug").replacen("auth", "account", 1);
    let stack =
        Stack::new(&format!("{}\n{account}\naccount required pam_permit.so", site.line("")));
    let code = format!("={}", code());
    let steps = ["account", "auth", &code, "account", "user=bob", "auth", "=11", "=22", "account"];
    let shown = stack.run(&[], &steps);
    let marks = shown.lines().filter(|line| line.contains("passed our auth"));
    let who: Vec<&str> =
        marks.filter_map(|line| line.split("debug: ").nth(1)?.split(' ').next()).collect();
    assert_eq!(who, ["nobody", "alice", "nobody"], "{shown}");
}

#[test]
fn the_mark_is_used_up_by_one_account_phase() {
    let Some((site, _)) = house("") else { return };
    let account = site.line("debug").replacen("auth", "account", 1);
    let stack =
        Stack::new(&format!("{}\n{account}\naccount required pam_permit.so", site.line("")));
    let code = format!("={}", code());
    let shown = stack.run(&[], &["auth", &code, "account", "account"]);
    assert_eq!(shown.matches("alice has passed our auth").count(), 1, "{shown}");
    assert_eq!(shown.matches("nobody has passed our auth").count(), 1, "{shown}");
}

#[test]
fn the_mark_is_nothing_for_another_user_of_the_same_handle() {
    let Some((site, _)) = house("") else { return };
    let account = site.line("").replacen("auth", "account", 1);
    let stack =
        Stack::new(&format!("{}\n{account}\naccount required pam_permit.so", site.line("")));
    fs::write(site.path("state/notices/bob"), "7 for bob\n").expect("a notice");
    fs::set_permissions(site.path("state/notices/bob"), fs::Permissions::from_mode(0o600))
        .expect("chmod");
    let code = format!("={}", code());
    let shown = stack.run(&[], &["auth", &code, "user=bob", "account"]);
    assert!(shown.contains(SUCCESS) && shown.contains("account = 0"), "{shown}");
    assert!(!shown.contains("tell"), "{shown}");
}

#[test]
fn what_happened_since_the_last_login_is_shown_once() {
    let Some((site, _)) = house("") else { return };
    let account = site.line("").replacen("auth", "account", 1);
    let stack =
        Stack::new(&format!("{}\n{account}\naccount required pam_permit.so", site.line("")));
    let notices = site.path("state/notices/alice");
    fs::write(&notices, "7 recovery codes issued by carol\n").expect("a notice");
    fs::set_permissions(&notices, fs::Permissions::from_mode(0o600)).expect("chmod");
    let code = format!("={}", code());
    let shown = stack.run(&[], &["account", "auth", &code, "account"]);
    let line = "tell: Since your last login: recovery codes issued by carol\n";
    assert_eq!(shown.matches(line).count(), 1, "{shown}");
    let passed = shown.find("accepted totp").expect("a login");
    assert!(shown.find(line).is_some_and(|at| at > passed), "{shown}");
    // What is left names the line, so that nobody adds it once more.
    assert_eq!(fs::read_to_string(&notices).expect("the file"), "seen 7\n");
}

#[test]
fn in_account_it_lets_nobody_in_by_itself() {
    let Some((site, _)) = house("") else { return };
    let account = site.line("").replacen("auth", "account", 1);
    let stack = Stack::new(&format!("{}\n{account}", site.line("")));
    let code = format!("={}", code());
    let shown = stack.run(&[], &["auth", &code, "account"]);
    // Every module has said PAM_IGNORE, which libpam refuses (PAM_PERM_DENIED).
    assert!(shown.contains(SUCCESS) && shown.contains("account = 6\n"), "{shown}");
}

#[test]
fn a_hostile_name_writes_no_line_of_its_own() {
    let Some((_site, stack)) = house("") else { return };
    let options = ["rhost=192.0.2.1", "ruser=x rhost=203.0.113.9"];
    let shown = stack.run(&options, &["user=x\n\u{1b}[2J rhost=203.0.113.9", "auth", "=11", "=22"]);
    let failure = shown.lines().find(|line| line.contains("authentication failure"));
    let expected = "ruser=x\\x20rhost=203.0.113.9 rhost=192.0.2.1  \
                    user=x\\x0a\\x1b[2J\\x20rhost=203.0.113.9";
    assert!(failure.is_some_and(|line| line.ends_with(expected)), "{shown}");
}

#[test]
fn valgrind_finds_no_error_and_nothing_lost() {
    let Some((site, stack)) = house("") else { return };
    if Command::new("valgrind").arg("--version").output().is_err() {
        return;
    }
    let code = format!("={}", code());
    let wrong = format!("={}", wrong_code());
    let steps = ["auth", &wrong, &code, "account", "setcred", "user=bob", "auth", "=11", "=22"];
    let output = Command::new("valgrind")
        .args(["--quiet", "--error-exitcode=99", "--leak-check=full"])
        .args(["--errors-for-leak-kinds=definite,indirect,possible"])
        .arg("--show-leak-kinds=definite,indirect,possible")
        .arg(built().host())
        .args(stack.arguments(&OVER_SSH, &steps))
        .output()
        .expect("valgrind");
    let shown = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{shown}\n{errors}");
    assert!(shown.contains("accepted totp for alice") && shown.contains(AUTH_ERR), "{shown}");
    drop(site);
}
