//! The same race with the modules of google-authenticator and of oath-toolkit, as Debian has them: how many get in with
//! one code. It is measured, not tested: what they do is theirs.

use std::fs;

use pam_totp_tests::{House, Phone};

use super::arena::{Arena, SIZES};

const GOOGLE: &str = "/var/lib/google";
const OATH: &str = "/var/lib/users.oath";

/// Alice's key, in base 32 and in hex.
const KEY: (&str, &str) =
    ("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", "3132333435363738393031323334353637383930");

#[test]
#[ignore = "a measurement: make race"]
#[allow(clippy::print_stdout)] // it is the result
fn how_many_the_others_let_in_with_one_code() {
    let rounds: usize = std::env::var("PAM_TOTP_RACE_ROUNDS").map_or(12, |n| n.parse().unwrap());
    let house = House::build();
    let rest = "account required pam_permit.so\n";
    house.stack(
        "google",
        &format!("auth required pam_google_authenticator.so secret={GOOGLE} user=root\n{rest}"),
    );
    house.stack(
        "oath",
        &format!("auth required pam_oath.so usersfile={OATH} window=5 digits=6\n{rest}"),
    );
    let phone = Phone::new(KEY.0);
    let mut arena = Arena::in_house(&house);
    for service in ["google", "oath"] {
        for size in SIZES {
            let (mut let_in, mut most, mut more, mut none) = (0, 0, 0, 0);
            for _ in 0..rounds.div_ceil(SIZES.len()) {
                Phone::wait_for_fresh_code(3);
                reset(&house);
                let winners = arena.let_in(service, "alice", &phone.now(), size);
                let_in += winners;
                most = most.max(winners);
                more += usize::from(winners > 1);
                none += usize::from(winners == 0);
            }
            println!(
                "RACE {service}, {size} processes: {} rounds, let in {let_in}, {most} at most; more than one in {more} rounds, nobody in {none}",
                rounds.div_ceil(SIZES.len())
            );
        }
    }
}

/// As their own programs write it, with reuse forbidden and no limit of tries.
fn reset(house: &House) {
    let google = format!("{}\n\" DISALLOW_REUSE\n\" TOTP_AUTH\n", KEY.0);
    for (path, text) in [(GOOGLE, google), (OATH, format!("HOTP/T30 alice - {}\n", KEY.1))] {
        let _ = fs::remove_file(house.path(path));
        fs::write(house.path(path), text).unwrap();
        house_private(house, path);
    }
}

fn house_private(house: &House, path: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(house.path(path), fs::Permissions::from_mode(0o600)).unwrap();
}
