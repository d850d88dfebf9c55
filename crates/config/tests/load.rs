//! Files: found, read within bounds, and named in what is said of them.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use relay_config::{Env, Format, ProcessEnv, default_path, load};

fn env(pairs: &[(&str, &Path)]) -> HashMap<String, String> {
    pairs
        .iter()
        .map(|(name, path)| ((*name).to_owned(), path.display().to_string()))
        .collect()
}

#[test]
fn loads_by_extension_and_keeps_the_source() {
    let folder = tempfile::tempdir().unwrap();
    let yaml = "logging: {level: debug}\n";
    let toml = "[logging]\nlevel = \"debug\"\n";
    for (name, text) in [
        ("a.yaml", yaml),
        ("b.yml", yaml),
        ("c.YAML", yaml),
        ("d.toml", toml),
    ] {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        let plan = load(&path, &env(&[])).unwrap();
        assert_eq!(plan.logging.level.as_str(), "debug");
        assert_eq!(plan.source.as_deref(), Some(path.as_path()));
        assert_eq!(relay_config::show(&plan).lines().next().unwrap(), {
            format!("# {} ({})", path.display(), plan.digest)
        });
    }
}

#[test]
fn a_file_that_cannot_be_read_is_one_fault_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let table = [
        (folder.path().join("none.yaml"), "config::unreadable"),
        (file("a.json", b"{}"), "config::unknown_format"),
        (file("plain", b"{}"), "config::unknown_format"),
        (file("b.yaml", b"\xff\xfe"), "config::not_utf8"),
        (
            file("c.yaml", &vec![b'#'; (1 << 20) + 1]),
            "config::too_large",
        ),
        (folder.path().to_owned(), "config::unknown_format"),
    ];
    for (path, code) in table {
        let faults = load(&path, &env(&[])).unwrap_err();
        let found: Vec<_> = faults
            .iter()
            .map(|fault| (fault.code, fault.line))
            .collect();
        assert_eq!(found, [(code, 0)]);
        assert!(
            faults.render(false).contains(&path.display().to_string()),
            "{faults}"
        );
        assert!(faults.render(false).contains(" = "), "{faults}");
    }
}

#[cfg(unix)]
#[test]
fn warns_if_others_may_read_the_file() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.yaml");
    fs::write(&path, "").unwrap();
    for (mode, warned) in [(0o600, false), (0o644, true), (0o640, true), (0o604, true)] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let plan = load(&path, &env(&[])).unwrap();
        let found = plan
            .warnings
            .iter()
            .find(|warning| warning.message.contains("by others"));
        assert_eq!(found.is_some(), warned, "{mode:o}");
        if let Some(warning) = found {
            assert!(warning.fix.starts_with("chmod 600 "), "{warning:?}");
        }
    }
}

#[test]
fn tls_files_must_be_there() {
    let folder = tempfile::tempdir().unwrap();
    let there = folder.path().join("cert.pem");
    fs::write(&there, "").unwrap();
    let text = "server: {tls: {cert_file: '${THERE}', key_file: '${GONE}'}}";
    let gone = folder.path().join("gone.pem");
    let env = env(&[("THERE", &there), ("GONE", &gone)]);
    let faults = relay_config::parse("c", text, Format::Yaml, &env).unwrap_err();
    let found: Vec<_> = faults
        .iter()
        .map(|fault| (fault.code, fault.path.as_str()))
        .collect();
    assert_eq!(found, [("config::file_missing", "server.tls.key_file")]);
    fs::write(&gone, "").unwrap();
    let plan = relay_config::parse("c", text, Format::Yaml, &env).unwrap();
    assert_eq!(plan.server.tls.unwrap().key_file, gone);
}

#[test]
fn the_default_path_follows_xdg_and_prefers_yaml() {
    let folder = tempfile::tempdir().unwrap();
    let (home, xdg) = (folder.path().join("home"), folder.path().join("xdg"));
    let both = env(&[("HOME", &home), ("XDG_CONFIG_HOME", &xdg)]);
    assert_eq!(default_path(&both), xdg.join("cc-relay/config.yaml"));
    let only = env(&[("HOME", &home)]);
    assert_eq!(
        default_path(&only),
        home.join(".config/cc-relay/config.yaml")
    );
    let relative = env(&[("HOME", &home), ("XDG_CONFIG_HOME", Path::new("x"))]);
    assert_eq!(
        default_path(&relative),
        home.join(".config/cc-relay/config.yaml")
    );
    assert_eq!(
        default_path(&env(&[])),
        PathBuf::from(".config/cc-relay/config.yaml")
    );
    fs::create_dir_all(xdg.join("cc-relay")).unwrap();
    fs::write(xdg.join("cc-relay/config.toml"), "").unwrap();
    assert_eq!(default_path(&both), xdg.join("cc-relay/config.toml"));
    fs::write(xdg.join("cc-relay/config.yaml"), "").unwrap();
    assert_eq!(default_path(&both), xdg.join("cc-relay/config.yaml"));
}

#[test]
fn the_process_environment_is_read() {
    assert_eq!(
        ProcessEnv.var("CARGO_MANIFEST_DIR"),
        std::env::var("CARGO_MANIFEST_DIR").ok()
    );
    assert_eq!(ProcessEnv.var("CC_RELAY_TEST_NEVER_SET"), None);
}
