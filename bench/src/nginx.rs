//! Configuration of Debian's nginx as the yardstick.
//!
//! Addresses and a folder come in; the text of a configuration goes out. Both forms keep upstream
//! connections, speak HTTP/1.1 and pass a response on as it comes; the second also checks a key and
//! writes a JSON line a request, as cc-relay does. Must never be tuned down: a slow yardstick
//! proves nothing.
use std::{fmt::Write as _, net::SocketAddr, path::Path};

use crate::wire::{CLIENT_KEY, UPSTREAM_KEY};

/// Returns a configuration that listens on `listen` and passes everything to `upstream`.
pub(crate) fn config(
    folder: &Path,
    listen: SocketAddr,
    upstream: SocketAddr,
    checked: bool,
) -> String {
    let folder = folder.display();
    let mut text = format!(
        "daemon off;\nworker_processes 2;\nworker_rlimit_nofile 20000;\n\
         pid {folder}/nginx.pid;\nerror_log {folder}/error.log warn;\n\
         events {{ worker_connections 19000; }}\nhttp {{\n"
    );
    for path in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
        line(
            &mut text,
            format_args!("  {path}_temp_path {folder}/{path};"),
        );
    }
    // Bodies stay in memory and are whole before they are sent on, as in a proxy that can fail over.
    text.push_str(
        "  client_max_body_size 32m;\n  client_body_buffer_size 4m;\n  tcp_nodelay on;\n\
         \x20 keepalive_requests 100000000;\n  keepalive_timeout 600s;\n",
    );
    line(
        &mut text,
        format_args!(
            "  upstream mock {{ server {upstream}; keepalive 256; keepalive_requests 100000000; }}"
        ),
    );
    if checked {
        line(
            &mut text,
            format_args!(
                "  map $http_x_api_key $known {{ default 0; \"{CLIENT_KEY}\" 1; }}\n\
                 \x20 log_format line escape=json '{{\"time\":\"$time_iso8601\",\"id\":\
                 \"$request_id\",\"method\":\"$request_method\",\"uri\":\"$request_uri\",\
                 \"status\":$status,\"bytes\":$body_bytes_sent,\"seconds\":$request_time,\
                 \"upstream\":\"$upstream_addr\",\"agent\":\"$http_user_agent\"}}';\n\
                 \x20 access_log {folder}/access.json line;"
            ),
        );
    } else {
        text.push_str("  access_log off;\n");
    }
    let check = if checked {
        "if ($known = 0) { return 401; }"
    } else {
        ""
    };
    line(
        &mut text,
        format_args!(
            "  server {{\n    listen {listen} backlog=4096;\n    location = /livez {{ return 200; }}\n\
             \x20   location / {{\n      {check}\n      proxy_pass http://mock;\n\
             \x20     proxy_http_version 1.1;\n      proxy_set_header Connection \"\";\n\
             \x20     proxy_set_header x-api-key {UPSTREAM_KEY};\n      proxy_buffering off;\n\
             \x20     proxy_read_timeout 600s;\n      proxy_send_timeout 600s;\n    }}\n  }}\n}}"
        ),
    );
    text
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    writeln!(out, "{text}").unwrap_or_default();
}
