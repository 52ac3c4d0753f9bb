//! The pages of `replay analyse` and `replay eval`, with curves and tables.
use serde::Serialize;

use super::render::{PageError, Parts, render};

/// The data of a page of curves.
#[derive(Debug, Serialize)]
pub struct CurvesData<'a> {
    /// The title of the page.
    pub title: &'a str,
    /// The line under the title.
    pub subtitle: &'a str,
    /// A note on how to read the page.
    pub note: &'a str,
    /// The charts, in order.
    pub charts: Vec<Chart>,
    /// The tables, in order.
    pub tables: Vec<TableData>,
}

/// One chart.
#[derive(Debug, Serialize)]
pub struct Chart {
    /// The title of the chart.
    pub title: String,
    /// The label of the x axis.
    pub x_label: String,
    /// The label of the y axis.
    pub y_label: String,
    /// The x values, shared by all series.
    pub x: Vec<f64>,
    /// The lines of the chart.
    pub series: Vec<Series>,
    /// Whether the x axis is logarithmic.
    pub log_x: bool,
}

/// One line of a chart, with a band if `low` and `high` are given.
#[derive(Debug, Serialize)]
pub struct Series {
    /// The name in the legend.
    pub name: String,
    /// One value for each x value.
    pub y: Vec<f64>,
    /// Lower end of the band.
    pub low: Option<Vec<f64>>,
    /// Upper end of the band.
    pub high: Option<Vec<f64>>,
}

/// One table.
#[derive(Debug, Serialize)]
pub struct TableData {
    /// The title of the table.
    pub title: String,
    /// The headings of the columns.
    pub columns: Vec<String>,
    /// The cells of each row.
    pub rows: Vec<Vec<String>>,
}

/// Renders a page of curves.
///
/// # Errors
/// If the data cannot be written as JSON.
pub fn curves(data: &CurvesData<'_>) -> Result<String, PageError> {
    let parts = Parts {
        styles: &[include_str!("page.css"), include_str!("curves.css")],
        scripts: &[
            include_str!("page.js"),
            include_str!("colour.js"),
            include_str!("chart.js"),
            include_str!("curves.js"),
        ],
    };
    render(&parts, data.title, data)
}
