//! Tags, repositories and referrers, page by page (distribution-spec v1.1.1, spec.md, "Content Discovery").

use serde_json::{Value, json};

use super::log::lock;
use super::script::Answer;
use super::server::Server;
use super::wire::{Request, encoded};

impl Server {
    pub fn catalog(&self, request: &Request) -> Answer {
        let names = lock(&self.store).repositories.keys().map(|name| (name.clone(), json!(name))).collect();
        let (page, link) = self.page(names, request, &[]);
        linked(Answer::json(200, &json!({"repositories": page})), link)
    }

    pub fn tags(&self, name: &str, request: &Request) -> Answer {
        let store = lock(&self.store);
        let Some(repository) = store.repositories.get(name) else {
            return Answer::error(404, "NAME_UNKNOWN", "repository name not known to registry");
        };
        let tags = repository.tags.keys().map(|tag| (tag.clone(), json!(tag))).collect();
        let (page, link) = self.page(tags, request, &[]);
        linked(Answer::json(200, &json!({"name": name, "tags": page})), link)
    }

    pub fn referrers(&self, name: &str, digest: &str, request: &Request) -> Answer {
        if self.options.no_referrers_api {
            return Answer::error(404, "UNSUPPORTED", "there is nothing here");
        }
        let wanted = request.parameter("artifactType");
        let mut found = Vec::new();
        if let Some(repository) = lock(&self.store).repositories.get(name) {
            for (own, manifest) in &repository.manifests {
                if manifest.subject().as_deref() != Some(digest) {
                    continue;
                }
                let document = manifest.document();
                let stated = document["artifactType"].as_str().or_else(|| document["config"]["mediaType"].as_str());
                if wanted.is_some() && wanted.as_deref() != stated {
                    continue;
                }
                let size = manifest.bytes.len();
                let mut descriptor = json!({"mediaType": manifest.media_type, "digest": own, "size": size});
                if let Some(stated) = stated {
                    descriptor["artifactType"] = json!(stated);
                }
                if document["annotations"].is_object() {
                    descriptor["annotations"] = document["annotations"].clone();
                }
                found.push((own.clone(), descriptor));
            }
        }
        let filter = wanted.map(|wanted| ("artifactType", wanted));
        let (page, link) = self.page(found, request, filter.as_slice());
        let index = json!({"schemaVersion": 2, "mediaType": barge::media::OCI_INDEX, "manifests": page});
        let mut answer = Answer::status(200).body(index.to_string());
        answer = answer.header("Content-Type", barge::media::OCI_INDEX);
        if filter.is_some() {
            answer = answer.header("OCI-Filters-Applied", "artifactType");
        }
        linked(answer, link)
    }

    /// Returns the page that is asked for, and the link to the next one.
    fn page(
        &self,
        items: Vec<(String, Value)>,
        request: &Request,
        kept: &[(&str, String)],
    ) -> (Vec<Value>, Option<String>) {
        let asked = request.parameter("n").and_then(|n| n.parse::<usize>().ok());
        let most = self.options.page_size.unwrap_or(usize::MAX).min(asked.unwrap_or(usize::MAX));
        let last = request.parameter("last");
        let mut items = items.into_iter().filter(|(key, _)| last.as_ref().is_none_or(|last| key > last)).peekable();
        let page: Vec<(String, Value)> = items.by_ref().take(most).collect();
        let link = page.last().filter(|_| items.peek().is_some()).map(|(key, _)| {
            let mut path = format!("{}?n={most}&last={}", request.path, encoded(key));
            for (name, value) in kept {
                path += &format!("&{name}={}", encoded(value));
            }
            let base = if self.options.absolute_links { format!("http://{}", self.host) } else { String::new() };
            format!(r#"<{base}{path}>; rel="next""#)
        });
        (page.into_iter().map(|(_, value)| value).collect(), link)
    }
}

fn linked(answer: Answer, link: Option<String>) -> Answer {
    match link {
        Some(link) => answer.header("Link", link),
        None => answer,
    }
}
