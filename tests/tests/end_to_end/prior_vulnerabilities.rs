//! What other modules got wrong, tried on this one where no other test does: the tables in
//! `docs/prior-vulnerabilities.md` name each weakness and what would catch it here.

use std::fs;
use std::path::Path;

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use pam_totp_tests::{
    Answer, Application, Decider, House, Login, Outcome, PASSWORD, Pam, Phone, Plan, program,
};

use crate::{CODE, NEXT};

/// Ways in which administrators write the line of a module that is enough by itself, each with the way out for
/// whoever it does not let in.
const FORGIVING_STACKS: [&str; 3] = [
    "auth sufficient pam_totp.so nodelay nullok\nauth required pam_deny.so\n",
    "auth [success=1 default=ignore] pam_totp.so nodelay nullok\nauth requisite pam_deny.so\nauth required pam_permit.so\n",
    "auth [success=done new_authtok_reqd=done default=die] pam_totp.so nodelay nullok\nauth required pam_deny.so\n",
];

#[test]
fn no_answer_and_an_empty_one_let_nobody_in_however_the_stack_is_written() {
    let house = House::build();
    let phone = house.enroll("alice");
    let silences = || [Answer::from(""), Answer::NoReply, Answer::NoArray, Answer::Refuse];
    let mut application = house.application();
    for (n, auth) in FORGIVING_STACKS.iter().enumerate() {
        house.stack("forgiving", &format!("{auth}account required pam_permit.so\n"));
        for user in ["alice", "bob", "mallory", "root", ""] {
            for silence in silences() {
                let outcome =
                    application.login("forgiving", user).authenticate(vec![silence.clone(); 3]);
                assert_ne!(outcome.code, Pam::Success, "{auth}{user:?}, {silence:?}: {outcome:?}");
            }
        }
        // The stack does let in whoever has a code.
        let code = phone.in_steps(i64::try_from(n).unwrap() - 1);
        let outcome = application.login("forgiving", "alice").authenticate([&code]);
        assert_eq!(outcome.code, Pam::Success, "{auth}: {outcome:?}");
    }
}

#[test]
fn behind_a_wrong_password_the_code_is_asked_for_and_spent_and_lets_nobody_in() {
    let house = House::build();
    let phone = house.enroll("alice");
    let mut application = house.application();
    let (wrong, code) = ("not the password", phone.now());
    let outcome = application.login("both", "alice").authenticate([wrong, &code]);
    // As behind the right one: nobody learns here which of the two it was.
    assert_eq!((outcome.code, outcome.prompts()), (Pam::AuthErr, vec!["Password: ", CODE]));
    let outcome = application.login("both", "alice").authenticate([PASSWORD, &code, &code]);
    assert_eq!(outcome.code, Pam::AuthErr, "{outcome:?}");
    let replayed = |line: &String| line.contains("reason=replay user=alice");
    assert!(house.syslog().lines().iter().any(replayed));
}

/// A program that runs as alice, at a stack that lets in who is not asked: for each of these users what it is told with
/// alice's right code, and the log.
fn at_a_locker_of_alices(house: &House, phone: &Phone, users: &[&str]) -> Vec<(Outcome, String)> {
    let stack = "auth required pam_permit.so\nauth required pam_totp.so nodelay nullok\n";
    house.stack("locker", &format!("{stack}account required pam_permit.so\n"));
    let uid = house.person("alice").uid.to_string();
    let as_alice = ["--reuid", &uid, "--regid", &uid, "--clear-groups", "--"];
    let mut application = house.application_under("setpriv", &as_alice);
    let mut log_in = |user: &&str| {
        house.syslog().clear();
        let outcome = application.login("locker", user).authenticate([&phone.now(), "123456"]);
        (outcome, house.syslog().module_lines().join("\n").replace(user, "USER"))
    };
    users.iter().map(&mut log_in).collect()
}

/// The daemon decides: nothing of root's is started for a program without rights.
#[test]
fn a_program_without_rights_lets_its_own_user_in_and_learns_nothing_of_others() {
    let house = House::from_plan(&Plan { decided_by: Decider::Daemon, ..Plan::default() });
    let phone = house.enroll("alice");
    let _carols = house.enroll("carol");
    // Neither enrolled nor exempt nor an account: asked and refused, which `nullok` changes nothing about.
    let others = at_a_locker_of_alices(&house, &phone, &["carol", "bob", "mallory", "root", ""]);
    for (outcome, lines) in others {
        assert_eq!((outcome.code, outcome.prompts()), (Pam::AuthErr, vec![CODE, NEXT]), "{lines}");
    }
    let (outcome, lines) = at_a_locker_of_alices(&house, &phone, &["alice"]).remove(0);
    assert_eq!((outcome.code, outcome.prompts()), (Pam::Success, vec![CODE]), "{lines}");
}

#[test]
fn a_program_without_rights_and_without_a_daemon_lets_nobody_in_and_learns_nothing() {
    let house = House::from_plan(&Plan { decided_by: Decider::Once, ..Plan::default() });
    let phone = house.enroll("alice");
    let all = at_a_locker_of_alices(&house, &phone, &["alice", "bob", "mallory"]);
    for (outcome, lines) in &all {
        assert_eq!((outcome.code, outcome.prompts()), (Pam::SystemErr, vec![]), "{lines}");
        assert!(lines.contains("totpd does not answer"), "{lines}");
        assert_eq!(*lines, all[0].1);
    }
}

#[test]
fn whoever_logged_in_stays_who_they_are_behind_su_and_sudo() {
    let house = House::build();
    let _phone = house.enroll("alice");
    let uid = |name| house.person(name).uid;
    let disable = |logged_in: u32, behind_sudo: u32| {
        let script = format!(
            "echo {logged_in} >/proc/self/loginuid && SUDO_UID={behind_sudo} exec totp-admin --yes disable alice"
        );
        house.attempt("sh", &["-c", &script])
    };
    // As alice, who has become bob by now.
    let output = disable(uid("alice"), uid("bob"));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("Another administrator"), "{said}");
    assert_eq!(house.admin_json(&["show", "alice", "--json"])["status"], "active");
    // As bob, whatever the environment says.
    let output = disable(uid("bob"), uid("alice"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(house.records()[1]["actor"]["loginuid"], uid("bob"));
}

/// Brings a login of `user` to its first prompt.
fn at_the_prompt<'a>(application: &'a mut Application, user: &str) -> Login<'a> {
    let mut login = application.login("code", user);
    assert_eq!(login.begin("auth 0").hear().prompt(), Some(CODE));
    login
}

/// One session of `user` waits at its prompt while `others`, opened just as early, give two wrong codes each; then
/// it gives the right code, and the next one if it is asked.
fn with_others_opened_first(house: &House, user: &str, phone: &Phone, others: usize) -> Outcome {
    let mut applications: Vec<Application> = (0..others).map(|_| house.application()).collect();
    let mut last = house.application();
    let mut patient = at_the_prompt(&mut last, user);
    let guessing: Vec<Login<'_>> =
        applications.iter_mut().map(|application| at_the_prompt(application, user)).collect();
    for (n, mut login) in (0..).zip(guessing) {
        login.answer(&phone.wrong(2 * n));
        let outcome = login.rest([&phone.wrong(2 * n + 1)]);
        assert_eq!(outcome.code, Pam::AuthErr, "{outcome:?}");
    }
    patient.answer(&phone.now());
    patient.rest([&phone.in_steps(1)])
}

#[test]
fn sessions_that_were_opened_before_the_guessing_pay_like_later_ones() {
    let house = House::build();
    // 74 guesses leave one, 76 none: 75 single codes are what strangers have at once.
    let phone = house.enroll("alice");
    let outcome = with_others_opened_first(&house, "alice", &phone, 37);
    assert_eq!((outcome.code, outcome.prompts()), (Pam::Success, vec![]), "{outcome:?}");
    let phone = house.enroll("bob");
    let outcome = with_others_opened_first(&house, "bob", &phone, 38);
    assert_eq!((outcome.code, outcome.prompts()), (Pam::Success, vec![NEXT]), "{outcome:?}");
    assert!(house.syslog().lines().iter().any(|line| line.ends_with("reason=budget user=bob")));
}

/// Every path below the places that a login may write to.
fn files_of(house: &House) -> String {
    house.run("find", &["/var/lib/pam-totp", "/run/pam-totp", "/var/log/pam-totp"])
}

#[test]
fn nothing_that_a_client_or_caller_names_writes_a_line_or_a_file_of_its_own() {
    let house = House::build();
    let forged = "pam_totp(sshd:auth): accepted totp for alice from 203.0.113.9";
    let hostile = [
        format!("x\n{forged}"),
        format!("x\r\n\u{1b}[2J{forged}"),
        "x rhost=203.0.113.9  user=root".to_string(),
        "../../../../run/written".to_string(),
        "/run/written".to_string(),
        "%s%n%99999d".to_string(),
        // Longer than a word of our lines, and short enough for what libpam tells the audit system.
        "x".repeat(1000),
    ];
    let mut application = house.application();
    for text in &hostile {
        let mut login = application.login("code", "bob");
        for item in ["rhost", "tty", "ruser"] {
            login.item(item, text);
        }
        let outcome = login.authenticate(["123456", "234567"]);
        assert_eq!((outcome.code, outcome.prompts()), (Pam::AuthErr, vec![CODE, NEXT]), "{text:?}");
    }
    let lines = house.syslog().module_lines();
    assert_eq!(lines.iter().filter(|line| line.contains("authentication failure; ")).count(), 7);
    for line in &lines {
        assert!(line.is_ascii() && !line.chars().any(char::is_control), "{line:?}");
        assert!(!line.starts_with(forged), "{line:?}");
        // fail2ban and crowdsec take the words from here.
        let hosts = line.split(' ').filter(|word| *word == "rhost=203.0.113.9").count();
        let users = line.split(' ').filter(|word| word.starts_with("user=")).count();
        assert!(hosts == 0 && users <= 1, "{line:?}");
    }
    let files = files_of(&house);
    assert!(!files.contains("written") && !house.path("/run/written").exists(), "{files}");
}

#[test]
fn with_debug_no_code_password_or_secret_is_logged() {
    let house = House::with_arguments("debug");
    let document = house.admin_json(&["enroll", "alice", "--json", "--no-confirm"]);
    let phone = Phone::new(document["secret"].as_str().unwrap());
    let recovery = document["recovery_codes"][0].as_str().unwrap().to_string();
    let bypass = house.admin_json(&["bypass-code", "alice", "--json"]);
    let bypass = bypass["code"].as_str().unwrap().to_string();
    let both = "auth required pam_totp.so nodelay debug forward_pass\nauth required pam_unix.so nodelay use_first_pass\n";
    house.stack("combined", &format!("{both}account required pam_permit.so\n"));
    let (right, wrong) = (phone.now(), phone.wrong(0));
    let combined = format!("{PASSWORD},{}", phone.in_steps(1));
    let typed = [&right, &wrong, &recovery, &bypass, "what somebody typed", &combined];
    let mut application = house.application();
    for (service, answers) in [
        ("code", vec![wrong.as_str(), right.as_str()]),
        ("code", vec![right.as_str(), "what somebody typed"]),
        ("code", vec![recovery.as_str()]),
        ("code", vec![bypass.as_str()]),
        ("both", vec![PASSWORD, wrong.as_str(), recovery.as_str()]),
        ("combined", vec![combined.as_str()]),
    ] {
        let mut login = application.login(service, "alice");
        let _ = login.authenticate(answers);
        let _ = login.account();
    }
    let lines = house.syslog().lines();
    assert!(lines.iter().any(|line| line.contains("debug: ")), "{lines:?}");
    assert!(lines.iter().any(|line| line.contains("accepted recovery-code")), "{lines:?}");
    for text in typed.iter().copied().chain([PASSWORD, phone.secret()]) {
        let bare = text.replace('-', "");
        let told = |line: &&String| line.contains(text) || line.contains(&bare);
        assert!(!lines.iter().any(|line| told(&line)), "{text:?} in {lines:?}");
    }
}

/// All texts of a document that log somebody in, as they are shown and without what groups them.
fn keys_to_a_login(document: &serde_json::Value) -> Vec<String> {
    let one = ["secret", "code", "enrollment_code"].map(|key| document[key].as_str());
    let several = document["recovery_codes"].as_array().into_iter().flatten();
    let texts = one.into_iter().chain(several.map(serde_json::Value::as_str)).flatten();
    texts.flat_map(|text| [text.to_string(), text.replace('-', "")]).collect()
}

#[test]
fn what_logs_in_is_in_no_mail_log_or_file_but_the_record() {
    let house = House::build();
    let sendmail = program(&house, "cat >>/run/mails");
    house.configure(&format!(
        "[mail]\nsendmail = \"{sendmail}\"\ndefault_to = \"{{user}}@example.com\"\n"
    ));
    let mut keys = Vec::new();
    for arguments in [
        &["enroll", "alice", "--no-confirm"][..],
        &["bypass-code", "alice"],
        &["recovery-codes", "alice"],
        &["reset", "alice", "--reason", "a new phone"],
        &["enroll", "bob", "--at-login"],
    ] {
        let given = keys_to_a_login(&house.admin_json(&[arguments, &["--json", "--yes"]].concat()));
        assert!(!given.is_empty(), "{arguments:?}");
        keys.extend(given);
    }
    let mails = fs::read_to_string(house.path("/run/mails")).unwrap();
    assert!(mails.contains("alice@example.com") && mails.contains("bob@example.com"), "{mails}");
    // alice's secret was in her record, which the reset has replaced.
    let mut search = vec!["-rlF", "/var/lib/pam-totp", "/var/log/pam-totp", "/run"];
    search.extend(keys.iter().flat_map(|key| ["-e", key]));
    let found = String::from_utf8(house.attempt("grep", &search).stdout).unwrap();
    assert_eq!(found, "");
    let lines = house.syslog().lines();
    assert!(!lines.iter().any(|line| keys.iter().any(|key| line.contains(key))), "{lines:?}");
}

/// Files that other modules read or write in people's homes.
const DOTFILES: [&str; 5] =
    [".google_authenticator", ".pam_environment", ".pam_totp", ".totp", ".config"];

/// What happened to a directory and the files in it since the last time.
fn touched(watch: &Inotify) -> Vec<String> {
    let events = watch.read_events().unwrap_or_default();
    events.iter().map(|event| format!("{:?} {:?}", event.mask, event.name)).collect()
}

fn watched(home: &Path) -> Inotify {
    for name in DOTFILES {
        fs::write(home.join(name), "TOTP\nexempt = true\n").unwrap();
    }
    let watch = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC).unwrap();
    watch.add_watch(home, AddWatchFlags::IN_ALL_EVENTS).unwrap();
    watch
}

#[test]
fn nothing_in_a_users_home_is_opened_read_or_written() {
    let house = House::build();
    let phone = house.enroll("alice");
    let home = format!("/home/{}", house.person("alice").uid);
    let outside = house.path(&home);
    let watch = watched(&outside);
    let config = format!("{home}/.config");
    let mut application =
        house.application_with(&[("HOME", &home), ("XDG_CONFIG_HOME", &config), ("TMPDIR", &home)]);
    let right = {
        let mut login = application.login("code", "alice");
        let outcome = login.authenticate([&phone.wrong(0), &phone.now()]);
        assert_eq!(
            (login.account().code, login.set_credentials().code),
            (Pam::Success, Pam::Success)
        );
        outcome
    };
    assert_eq!(right.code, Pam::Success, "{right:?}");
    let wrong = application.login("code", "alice").authenticate([&phone.wrong(1), &phone.wrong(2)]);
    assert_eq!(wrong.code, Pam::AuthErr, "{wrong:?}");
    assert_eq!(touched(&watch), [] as [&str; 0]);
    // Had anybody looked, it would have been seen.
    let _ = fs::read(outside.join(DOTFILES[0])).unwrap();
    assert!(!touched(&watch).is_empty());
}

#[test]
fn who_is_in_many_groups_is_required_by_the_last_of_them() {
    const GROUPS: u32 = 200;
    let last = GROUPS - 1;
    let house = House::with_config(&format!("[policy]\nrequire = [\"@g{last}\"]\n"));
    let group = house.path("/etc/group");
    let mut text = fs::read_to_string(&group).unwrap();
    for n in 0..GROUPS {
        let members = if n == last { "bob" } else { "bob,carol" };
        text.push_str(&format!("g{n}:x:{}:{members}\n", 30_000 + n));
    }
    fs::write(&group, text).unwrap();
    let mut application = house.application();
    for (user, asked) in [("bob", true), ("carol", false)] {
        let outcome = application.login("both", user).authenticate([PASSWORD]);
        assert_eq!(outcome.prompts().contains(&CODE), asked, "{user}: {outcome:?}");
        assert_eq!(outcome.code == Pam::Success, !asked, "{user}: {outcome:?}");
    }
}

#[test]
fn answers_of_every_length_are_refused_and_valgrind_finds_no_error() {
    let house = House::build();
    let _phone = house.enroll("alice");
    let quiet = ["--quiet", "--error-exitcode=99", "--log-file=/run/valgrind.log"];
    let mut application = house.application_under("valgrind", &quiet);
    // Not 1 and 3: those are words, and prompt again.
    for length in [0, 2, 5, 7, 8, 15, 16, 17, 18, 19, 44, 511, 512, 513, 1024, 4095, 4096] {
        let answers = ["z", "9"].map(|letter| letter.repeat(length));
        let outcome = application.login("code", "alice").authenticate(&answers);
        // An empty one is no answer.
        let prompts = if length == 0 { vec![CODE] } else { vec![CODE, NEXT] };
        assert_eq!((outcome.code, outcome.prompts()), (Pam::AuthErr, prompts), "{length}");
    }
    // Longer ones never leave the program, whoever is asked: as if there were none.
    for (user, length) in [("alice", 4097), ("alice", 20_000), ("bob", 4097), ("mallory", 4097)] {
        let outcome = application.login("code", user).authenticate([&"9".repeat(length)]);
        assert_eq!((outcome.code, outcome.prompts()), (Pam::ConvErr, vec![CODE]), "{length}");
    }
    let log = house.path("/run/valgrind.log");
    assert_eq!(application.finish(), 0, "{}", fs::read_to_string(log).unwrap());
}

#[test]
fn a_line_that_is_commented_out_keeps_no_used_code_alive() {
    let house = House::from_plan(&Plan::default());
    let phone = house.enroll("alice");
    let record = house.path("/var/lib/pam-totp/users/alice.toml");
    let text = fs::read_to_string(&record).unwrap();
    let commented: String = text.lines().map(|line| format!("# {line}\n")).collect();
    let spoilt = format!("{commented}{text}{commented}");
    fs::write(&record, &spoilt).unwrap();
    let mut application = house.application();
    let code = phone.now();
    let first = application.login("code", "alice").authenticate([&code]);
    assert_eq!(first.code, Pam::Success, "{first:?}");
    let second = application.login("code", "alice").authenticate([&code, &code]);
    assert_eq!(second.code, Pam::AuthErr, "{second:?}");
    assert_eq!(fs::read_to_string(&record).unwrap(), spoilt);
}
