//! The page: one file with everything in it, for one run or several over each other. It asks nothing of the network, and
//! of a script only the read-out under the pointer.

use super::charts::charts;
use super::figures::date;
use super::html::Html;
use super::run::Run;
use super::{details, figure, overview};
use std::time::{SystemTime, UNIX_EPOCH};

/// The page of these runs; at least one.
pub(super) fn page(runs: &[Run]) -> String {
    let names: Vec<&str> = runs.iter().map(|run| run.name.as_str()).collect();
    let title = names.join(", ");
    let mut html = Html::document();
    html.element("html", &[("lang", &"en")], |html| {
        html.element("head", &[], |html| {
            html.empty("meta", &[("charset", &"utf-8")]);
            let view = "width=device-width, initial-scale=1";
            html.empty("meta", &[("name", &"viewport"), ("content", &view)]);
            html.words("title", &[], &format!("{title} · llama-train"));
            html.source("style", include_str!("page.css"));
        });
        html.element("body", &[], |html| {
            match runs {
                [run] => one(html, run),
                _ => several(html, runs),
            }
            footer(html);
            html.source("script", include_str!("hover.js"));
        });
    });
    html.into_string()
}

fn one(html: &mut Html, run: &Run) {
    html.element("header", &[], |html| {
        html.element("h1", &[], |html| html.words("bdi", &[], &run.name));
        html.words("p", &[("class", &"dim")], &overview::status(run));
        overview::warnings(html, run);
    });
    overview::facts(html, run);
    plots(html, std::slice::from_ref(run));
    details::samples(html, run);
    if !run.config.is_empty() {
        html.words("h2", &[], &"Configuration");
        details::configuration(html, run);
    }
    if run.start.is_some() {
        html.words("h2", &[], &"Machine and command");
        details::machine(html, run);
    }
}

fn several(html: &mut Html, runs: &[Run]) {
    html.element("header", &[], |html| {
        html.words("h1", &[], &format!("{} runs", runs.len()))
    });
    overview::table(html, runs);
    runs.iter().for_each(|run| overview::warnings(html, run));
    plots(html, runs);
    for run in runs {
        html.element("h2", &[], |html| html.words("bdi", &[], &run.name));
        details::configuration(html, run);
        details::machine(html, run);
    }
}

fn plots(html: &mut Html, runs: &[Run]) {
    let charts = charts(runs);
    if charts.is_empty() {
        html.words("p", &[("class", &"card")], &"No numbers yet.");
        return;
    }
    // The first is larger where there are enough others to stand beside it.
    let class = if charts.len() > 2 {
        "plots hero"
    } else {
        "plots"
    };
    html.element("div", &[("class", &class)], |html| {
        charts
            .into_iter()
            .for_each(|chart| figure::draw(html, chart));
    });
}

fn footer(html: &mut Html) {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let today = date(since.unwrap_or_default().as_secs_f64()).unwrap_or_default();
    let version = env!("CARGO_PKG_VERSION");
    let text = format!(
        "Drawn by llama-train {version} on {today} from metrics.jsonl, where every number is."
    );
    html.words("footer", &[], &text);
}
