//! What must not be opened is not, and says why.

use std::fs;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

use nix::sys::stat::Mode;
use tempfile::TempDir;
use totp_core::time::UnixTime;

use super::directory::read_text;
use super::*;

const DEMAND: Demand = Demand::private(100);

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn directory() -> (TempDir, Directory) {
    let temp = TempDir::new().unwrap();
    chmod(temp.path(), 0o700);
    let directory = Directory::open(temp.path(), Owner::this_process(), Shared::Nobody).unwrap();
    (temp, directory)
}

fn write(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).unwrap();
    chmod(path, 0o600);
}

fn read(directory: &Directory, name: &str, demand: Demand) -> String {
    directory.text(name, demand).unwrap().unwrap().to_string()
}

fn problem<T: std::fmt::Debug>(result: Result<T, FileError>) -> Problem {
    result.unwrap_err().problem
}

#[test]
fn a_good_file_is_read_and_an_absent_one_is_proven_absent() {
    let (temp, directory) = directory();
    write(&temp.path().join("alice"), b"text");
    assert_eq!(read(&directory, "alice", DEMAND), "text");
    assert_eq!(directory.text("bob", DEMAND), Ok(None));
}

#[test]
fn no_program_that_is_started_inherits_what_is_open() {
    let (temp, directory) = directory();
    write(&temp.path().join("a"), b"x");
    let inherited = |fd: BorrowedFd<'_>| {
        !rustix::io::fcntl_getfd(fd).unwrap().contains(rustix::io::FdFlags::CLOEXEC)
    };
    let found = directory.file("a", Access::Write, DEMAND).unwrap().unwrap();
    let made = directory.create("b").unwrap();
    assert!(![found.as_fd(), made.as_fd(), directory.as_fd()].into_iter().any(inherited));
}

#[test]
fn a_file_that_has_grown_or_shrunk_since_it_was_checked_is_read_as_it_is() {
    let (temp, _) = directory();
    let path = temp.path().join("alice");
    write(&path, b"text");
    let file = fs::File::open(&path).unwrap();
    let of_size = |size, at_most| read_text(&file, size, &path, at_most);
    for size in [0, 3, 4, 5, 100, u64::MAX] {
        assert_eq!(of_size(size, 100).unwrap().as_str(), "text", "{size}");
    }
    assert_eq!(problem(of_size(3, 3)), Problem::Size { found: 4, at_most: 3 });
}

#[test]
fn in_a_removed_directory_absence_is_not_proven() {
    let (temp, directory) = directory();
    drop(temp);
    assert_eq!(problem(directory.text("bob", DEMAND)), Problem::NoDirectory);
}

#[test]
fn what_is_no_regular_file_is_refused_without_waiting() {
    let (temp, directory) = directory();
    let at = |name: &str| temp.path().join(name);
    write(&at("real"), b"x");
    symlink(at("real"), at("link")).unwrap();
    symlink(at("nowhere"), at("dangling")).unwrap();
    fs::create_dir(at("directory")).unwrap();
    nix::unistd::mkfifo(&at("fifo"), Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
    let _listener = UnixListener::bind(at("socket")).unwrap();
    assert_eq!(problem(directory.text("link", DEMAND)), Problem::Link);
    assert_eq!(problem(directory.text("dangling", DEMAND)), Problem::Link);
    assert_eq!(problem(directory.text("directory", DEMAND)), Problem::NotAFile("a directory"));
    assert_eq!(problem(directory.text("fifo", DEMAND)), Problem::NotAFile("a FIFO"));
    assert_eq!(
        problem(directory.text("socket", DEMAND)),
        Problem::NotAFile("a socket or a device")
    );
    let write = |name| directory.file(name, Access::Write, DEMAND).unwrap_err().problem;
    assert_eq!(write("directory"), Problem::NotAFile("a directory"));
    assert_eq!(write("fifo"), Problem::NotAFile("a FIFO"));
}

#[test]
fn modes_links_sizes_and_bytes_are_checked() {
    let (temp, directory) = directory();
    let at = |name: &str| temp.path().join(name);
    write(&at("open"), b"x");
    chmod(&at("open"), 0o640);
    write(&at("linked"), b"x");
    fs::hard_link(at("linked"), at("second")).unwrap();
    write(&at("huge"), &[b'x'; 101]);
    write(&at("latin"), b"\xe9");
    assert_eq!(
        problem(directory.text("open", DEMAND)),
        Problem::Mode { found: 0o640, forbidden: 0o077 }
    );
    assert_eq!(read(&directory, "open", Demand::unwritable(100)), "x");
    assert_eq!(problem(directory.text("linked", DEMAND)), Problem::Links(2));
    assert_eq!(problem(directory.text("huge", DEMAND)), Problem::Size { found: 101, at_most: 100 });
    assert_eq!(problem(directory.text("latin", DEMAND)), Problem::NotUtf8);
}

#[test]
fn another_owner_is_refused() {
    let (temp, directory) = directory();
    write(&temp.path().join("alice"), b"x");
    let me = Owner::this_process().0.as_raw();
    let file = directory.file("alice", Access::Read, DEMAND).unwrap().unwrap();
    let other = Owner(Uid::from_raw(me.wrapping_add(1)));
    let error = check(&file, Path::new("alice"), other, DEMAND).unwrap_err();
    assert_eq!(error.problem, Problem::Owner { found: me, wanted: me.wrapping_add(1) });
    let error = Directory::open(temp.path(), other, Shared::Nobody).unwrap_err();
    assert!(matches!(error.problem, Problem::Owner { .. }));
}

#[test]
fn a_name_is_one_component() {
    let (_temp, directory) = directory();
    for name in ["", ".", "..", "a/b", "/etc/passwd", "../x", "a\0b"] {
        assert_eq!(problem(directory.text(name, DEMAND)), Problem::BadName, "{name}");
    }
}

#[test]
fn a_directory_must_be_there_and_nobody_elses() {
    let (temp, directory) = directory();
    let at = |name: &str| temp.path().join(name);
    let open = |name| directory.inner(name, Shared::Nobody).unwrap_err().problem;
    fs::create_dir(at("shared")).unwrap();
    chmod(&at("shared"), 0o750);
    fs::create_dir(at("writable")).unwrap();
    chmod(&at("writable"), 0o777);
    symlink(at("shared"), at("link")).unwrap();
    write(&at("file"), b"x");
    assert_eq!(open("missing"), Problem::NoDirectory);
    assert_eq!(open("shared"), Problem::Mode { found: 0o750, forbidden: 0o077 });
    assert!(directory.inner("shared", Shared::Readable).is_ok());
    assert_eq!(
        directory.inner("writable", Shared::Readable).unwrap_err().problem,
        Problem::Mode { found: 0o777, forbidden: 0o022 }
    );
    assert_eq!(open("link"), Problem::Link);
    assert_eq!(open("file"), Problem::NotADirectory);
}

#[test]
fn a_path_through_a_link_or_a_writable_directory_is_refused() {
    let (temp, _directory) = directory();
    let at = |name: &str| temp.path().join(name);
    fs::create_dir_all(at("writable/inner")).unwrap();
    chmod(&at("writable"), 0o777);
    chmod(&at("writable/inner"), 0o700);
    symlink(at("writable"), at("link")).unwrap();
    let open =
        |path: &Path| Directory::open(path, Owner::this_process(), Shared::Nobody).unwrap_err();
    assert_eq!(open(&at("writable/inner")).path, at("writable"));
    assert_eq!(open(&at("link/inner")).problem, Problem::Link);
    assert_eq!(open(Path::new("relative")).problem, Problem::BadName);
    assert_eq!(open(Path::new("/proc/../tmp")).problem, Problem::BadName);
}

#[test]
fn replacing_leaves_the_new_file_alone_in_its_place() {
    let (temp, directory) = directory();
    directory.replace("alice", b"one").unwrap();
    directory.replace("alice", b"two").unwrap();
    assert_eq!(read(&directory, "alice", DEMAND), "two");
    assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 1);
    assert_eq!(
        fs::metadata(temp.path().join("alice")).unwrap().permissions().mode() & 0o7777,
        0o600
    );
    directory.replace_with_mode("config", b"", 0o644).unwrap();
    assert_eq!(
        fs::metadata(temp.path().join("config")).unwrap().permissions().mode() & 0o7777,
        0o644
    );
}

#[test]
fn the_root_directory_can_be_opened() {
    let root = Directory::open(Path::new("/"), Owner::ROOT, Shared::Readable).unwrap();
    assert_eq!(root.path(), Path::new("/"));
}

#[test]
fn a_file_that_others_may_read_keeps_its_group() {
    if !nix::unistd::Uid::effective().is_root() {
        return;
    }
    let (temp, directory) = directory();
    let path = temp.path().join("config");
    write(&path, b"one");
    std::os::unix::fs::chown(&path, None, Some(4)).unwrap();
    directory.replace_with_mode("config", b"two", 0o640).unwrap();
    let found = fs::metadata(&path).unwrap();
    assert_eq!((found.gid(), found.mode() & 0o7777), (4, 0o640));
    directory.replace("config", b"private").unwrap();
    assert_eq!(fs::metadata(&path).unwrap().gid(), nix::unistd::Gid::effective().as_raw());
}

#[test]
fn a_failed_replacement_leaves_the_old_file_and_nothing_else() {
    let (temp, directory) = directory();
    fs::create_dir(temp.path().join("occupied")).unwrap();
    assert!(directory.replace("occupied", b"x").is_err());
    assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 1);
}

#[test]
fn a_change_that_may_be_lost_says_that_it_is_in_place() {
    let (temp, directory) = directory();
    let directory = directory.that_fails_to_sync(nix::errno::Errno::EIO);
    let error = directory.replace("alice", b"new").unwrap_err();
    assert!(error.is_in_place());
    assert!(
        error.to_string().contains("alice: the change is in place, but may not survive"),
        "{error}"
    );
    assert_eq!(read(&directory, "alice", DEMAND), "new");
    assert!(directory.remove("alice").unwrap_err().is_in_place());
    assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 0);
}

#[test]
fn only_abandoned_unfinished_files_are_swept() {
    let (temp, directory) = directory();
    write(&temp.path().join(".new-0011223344556677"), b"secret");
    write(&temp.path().join("alice"), b"x");
    let now = crate::clock::now();
    directory.sweep(now).unwrap();
    assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 2);
    assert_eq!(directory.list().unwrap(), ["alice"]);
    directory.sweep(UnixTime(now.0 + 3700)).unwrap();
    assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 1);
}

#[test]
fn removing_twice_is_no_error() {
    let (temp, directory) = directory();
    write(&temp.path().join("alice"), b"x");
    assert_eq!(directory.remove("alice"), Ok(true));
    assert_eq!(directory.remove("alice"), Ok(false));
}

#[test]
fn messages_name_the_path_and_the_remedy() {
    let path = Path::new("/x/alice.toml");
    let text = |problem| FileError::new(path, problem).to_string();
    assert_eq!(
        text(Problem::Mode { found: 0o644, forbidden: 0o077 }),
        "/x/alice.toml: others have access (mode 0644); chmod 600 /x/alice.toml"
    );
    assert_eq!(
        text(Problem::Owner { found: 1000, wanted: 0 }),
        "/x/alice.toml: belongs to uid 1000; look who put it there, then: chown 0 /x/alice.toml"
    );
    assert_eq!(
        text(Problem::System { call: "open", errno: nix::errno::Errno::EIO }),
        "/x/alice.toml: open: I/O error"
    );
}

/// Runs an ignored test alone in a process of its own, which may spoil itself.
fn alone(inner: &str) {
    let me = std::env::current_exe().unwrap();
    let run =
        std::process::Command::new(me).args(["--exact", "--ignored", inner]).output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stdout));
}

#[test]
fn no_file_takes_the_place_of_a_standard_stream() {
    alone("files::tests::inner_without_standard_input");
}

#[test]
#[ignore = "runs inside the one above"]
fn inner_without_standard_input() {
    use std::os::fd::{AsFd as _, AsRawFd as _};
    let (temp, _) = directory();
    write(&temp.path().join("alice"), b"x");
    nix::unistd::close(0).unwrap();
    let directory = Directory::open(temp.path(), Owner::this_process(), Shared::Nobody).unwrap();
    let file = directory.file("alice", Access::Write, DEMAND).unwrap().unwrap();
    let made = directory.create("bob").unwrap();
    for fd in [directory.as_fd(), file.as_fd(), made.as_fd()] {
        assert!(fd.as_raw_fd() > 2);
        let flags = nix::fcntl::fcntl(fd, nix::fcntl::FcntlArg::F_GETFD).unwrap();
        assert_eq!(flags & 1, 1, "close-on-exec");
    }
}
