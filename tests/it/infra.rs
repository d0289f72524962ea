//! The templates say what the code says: tables, rights, configuration; and they pass what checks templates.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tests::{alluvium, emulator, file, root, tools};

/// A program of the environment that checks templates.
fn iac(program: &str) -> Command {
    Command::new(tools::folder().join("iac/bin").join(program))
}

fn text(path: &str) -> String {
    std::fs::read_to_string(file(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn json_of(path: &str) -> Value {
    serde_json::from_str(&text(path)).expect("JSON")
}

fn list<'v>(value: &'v Value, what: &str) -> &'v Vec<Value> {
    value.as_array().unwrap_or_else(|| panic!("{what} is no list: {value}"))
}

/// The CloudFormation template as JSON, functions in their long form.
fn template() -> Value {
    let print = "import json, sys; from cfnlint.decode import cfn_yaml; print(json.dumps(cfn_yaml.load(sys.argv[1])))";
    let mut python = Command::new(tools::python("python"));
    let told = tools::output(python.args(["-c", print]).arg(file("infra/aws/cloudformation.yaml")));
    serde_json::from_str(&told).expect("JSON")
}

/// The objects of the Kubernetes manifest by kind.
fn manifest() -> BTreeMap<String, Value> {
    let print = "import json, sys, yaml; print(json.dumps(list(yaml.safe_load_all(open(sys.argv[1])))))";
    let mut python = Command::new(tools::python("python"));
    let told = tools::output(python.args(["-c", print]).arg(file("infra/kubernetes/alluvium.yaml")));
    let objects: Vec<Value> = serde_json::from_str(&told).expect("JSON");
    objects.into_iter().map(|one| (one["kind"].as_str().expect("a kind").to_string(), one)).collect()
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        match path.is_dir() {
            true if name != "tests" => sources(&path, found),
            false if name.ends_with(".rs") && name != "tests.rs" => found.push(path),
            _ => {}
        }
    }
}

/// `ListShards` of `list_shards`.
fn camel(name: &str) -> String {
    let word = |word: &str| word[..1].to_uppercase() + &word[1..];
    name.split('_').map(word).collect()
}

/// What the code calls: `client.list_shards()` in a file that names the SDK of Kinesis is `kinesis:ListShards`.
fn calls() -> BTreeSet<String> {
    let (mut files, mut found) = (Vec::new(), BTreeSet::new());
    sources(&file("ingest/src"), &mut files);
    for path in files {
        let text = std::fs::read_to_string(&path).expect("readable");
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for service in ["kinesis", "glue"].into_iter().filter(|service| code.contains(&format!("aws_sdk_{service}::")))
        {
            for rest in code.split("client").skip(1) {
                let Some(call) = rest.trim_start().strip_prefix('.') else { continue };
                let name =
                    call.trim_start().split(|c: char| !c.is_ascii_lowercase() && c != '_').next().unwrap_or_default();
                let is_call = call.trim_start()[name.len()..].starts_with("()");
                if is_call && !["clone", "config"].contains(&name) {
                    found.insert(format!("{service}:{}", camel(name)));
                }
            }
        }
    }
    found
}

#[test]
fn the_rights_are_those_of_the_calls_in_the_code() {
    let permissions = json_of("infra/aws/permissions.json");
    let groups = permissions.as_object().expect("groups of actions");
    let granted: BTreeSet<String> = groups
        .values()
        .flat_map(|actions| list(actions, "actions"))
        .map(|a| a.as_str().expect("text").into())
        .collect();
    let of_sdks: BTreeSet<String> = granted.iter().filter(|action| !action.starts_with("s3:")).cloned().collect();
    assert_eq!(of_sdks, calls(), "infra/aws/permissions.json beside the calls in ingest/src");
    // The store is reached through a trait: what it does is put, get, delete, list, and a PUT is one request.
    let store = text("writer/src/store.rs");
    assert!([".put_opts(", ".get", ".delete(", ".list"].iter().all(|call| store.contains(call)));
    assert!(!store.contains("multipart"), "multipart uploads need s3:AbortMultipartUpload");
    let said = text("infra/README.md") + &text("infra/runbook.md");
    let short =
        |action: &str| said.contains(action) || said.contains(&format!("`{}`", action.split(':').nth(1).unwrap_or("")));
    let unsaid: Vec<_> = granted.iter().filter(|action| !short(action)).collect();
    assert_eq!(unsaid, Vec::<&String>::new(), "neither infra/README.md nor the runbook says what it is for");
}

#[test]
fn what_is_generated_into_the_template_is_there_and_cfn_lint_is_content() {
    let mut python = Command::new(tools::python("python"));
    assert_eq!(tools::output(python.arg(file("infra/aws/generate.py")).arg("--check")), "");
    let mut lint = Command::new(tools::python("cfn-lint"));
    assert_eq!(tools::output(lint.arg(file("infra/aws/cloudformation.yaml"))), "");
}

#[test]
fn checkov_finds_nothing_that_is_not_said_why() {
    let mut checkov = iac("checkov");
    for path in ["infra/aws", "infra/kubernetes"] {
        checkov.arg("--directory").arg(file(path));
    }
    checkov.args([
        "--framework",
        "terraform",
        "cloudformation",
        "kubernetes",
        "--quiet",
        "--compact",
        "--skip-download",
    ]);
    assert!(tools::output(&mut checkov).contains("Failed checks: 0"));
    let mut checkov = iac("checkov");
    checkov.arg("--file").arg(file("infra/Dockerfile")).args([
        "--framework",
        "dockerfile",
        "--quiet",
        "--skip-download",
    ]);
    tools::output(&mut checkov);
}

#[test]
fn the_pods_are_valid_and_as_many_as_they_think() {
    let mut validate = iac("kubernetes-validate");
    let told = validate.args(["-k", "1.31.0", "--strict"]).arg(file("infra/kubernetes/alluvium.yaml"));
    tools::output(told);
    let manifest = manifest();
    let set = &manifest["StatefulSet"]["spec"];
    let container = &set["template"]["spec"]["containers"][0];
    let env = |name: &str| {
        let found = list(&container["env"], "env").iter().find(|one| one["name"] == name);
        found.unwrap_or_else(|| panic!("no {name}")).clone()
    };
    assert_eq!(env("TASKS")["value"], set["replicas"].to_string());
    assert_eq!(env("TASK")["valueFrom"]["fieldRef"]["fieldPath"], "metadata.labels['apps.kubernetes.io/pod-index']");
    let arguments = list(&container["args"], "args");
    let task = arguments.iter().position(|one| one == "--task").expect("it says its task");
    assert_eq!(arguments[task + 1], "$(TASK)/$(TASKS)");
    assert_eq!(container["ports"][0]["containerPort"], 9464);
}

/// Directives without which systemd rates a service as exposed.
const HARDENED: &[&str] =
    &["NoNewPrivileges=yes", "ProtectSystem=strict", "CapabilityBoundingSet=", "SystemCallFilter=@system-service"];

#[test]
fn the_unit_is_hardened() {
    let unit = text("infra/systemd/alluvium@.service");
    for line in HARDENED {
        assert!(unit.lines().any(|one| one == *line), "{line}");
    }
    // Exit codes that starting again cannot cure, as the runbook has them.
    assert!(unit.contains("\nRestartPreventExitStatus=1 2 4\n"));
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        eprintln!("no systemd-analyze here: the unit is not verified");
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("alluvium@.service");
    let here = unit.replace("/usr/local/bin/alluvium", &alluvium::binary().display().to_string());
    std::fs::write(&path, here).expect("writable");
    let mut verify = Command::new("systemd-analyze");
    let done = verify.args(["verify", "--recursive-errors=no"]).arg(folder.path().join("alluvium@0.service")).output();
    let told = String::from_utf8_lossy(&done.expect("it starts").stderr).into_owned();
    assert!(!told.contains("alluvium@"), "{told}");
    // 20 of 100: 12 is what the network leaves.
    let mut security = Command::new("systemd-analyze");
    tools::output(security.args(["security", "--offline=true", "--threshold=20"]).arg(path));
}

/// The container of a task in both templates: the environment's names, and what is said in the same words.
fn said_of(container: &Value, keys: [&str; 4]) -> Value {
    let [environment, name, read_only, stop] = keys;
    let names: BTreeSet<&str> =
        list(&container[environment], "environment").iter().filter_map(|one| one[name].as_str()).collect();
    json!({"environment": names, "read_only": container[read_only], "stop": container[stop]})
}

#[test]
fn the_template_sets_the_variables_of_the_images_configuration() {
    let template = template();
    let tasks: Vec<&Value> = template["Resources"].as_object().expect("resources").values().collect();
    let tasks: Vec<&Value> = tasks.into_iter().filter(|one| one["Type"] == "AWS::ECS::TaskDefinition").collect();
    assert_eq!(tasks.len(), 8);
    let config = text("infra/aws/alluvium.toml");
    let names: BTreeSet<&str> =
        config.split("${").skip(1).map(|rest| rest.split('}').next().unwrap_or_default()).collect();
    for (number, task) in tasks.iter().enumerate() {
        let container = &task["Properties"]["ContainerDefinitions"][0];
        let said = said_of(container, ["Environment", "Name", "ReadonlyRootFilesystem", "StopTimeout"]);
        assert_eq!(said, json!({"environment": names, "read_only": true, "stop": 120}));
        let command = list(&container["Command"], "command");
        assert_eq!(command[4], json!({"Fn::Sub": format!("{number}/${{Tasks}}")}));
        // From how many tasks on there is this one: a number without its service would leave shards unread.
        let least = [1, 2, 4, 8].into_iter().find(|tasks| *tasks > number).expect("at most eight");
        let condition = if least == 1 { Value::Null } else { json!(format!("From{least}")) };
        for kind in ["Task", "Service", "Down"] {
            assert_eq!(template["Resources"][format!("{kind}{number}")]["Condition"], condition, "{kind}{number}");
        }
    }
    assert_eq!(template["Parameters"]["Tasks"]["AllowedValues"], json!([1, 2, 4, 8]));
}

/// Alarms of both templates name sections of the runbook.
#[test]
fn the_templates_alarms_are_in_the_runbook() {
    let runbook = text("infra/runbook.md").to_lowercase();
    let said = text("infra/aws/cloudformation.yaml") + &text("infra/aws/terraform/alarms.tf");
    let anchors: BTreeSet<&str> = said
        .split("infra/runbook.md#")
        .skip(1)
        .map(|rest| rest.split(|c: char| !c.is_ascii_lowercase()).next().unwrap_or_default())
        .collect();
    assert!(anchors.len() >= 4, "{anchors:?}");
    for anchor in anchors {
        assert!(runbook.contains(&format!("\n### {anchor}\n")), "{anchor}");
    }
}

/// Terraform with the provider where the machine keeps it: neither can be had from a package registry.
struct Terraform {
    folder: tempfile::TempDir,
    plugins: PathBuf,
}

impl Terraform {
    /// `None`, told, where there is none.
    fn new() -> Option<Terraform> {
        let plugins = PathBuf::from(std::env::var_os("ALLUVIUM_TERRAFORM_PLUGINS").unwrap_or("/opt/tf-plugins".into()));
        if Command::new("terraform").arg("version").output().is_err() || !plugins.exists() {
            eprintln!("no terraform, or no provider in {}: the module is not planned", plugins.display());
            return None;
        }
        let folder = tempfile::Builder::new().prefix("alluvium-").tempdir().expect("a temporary folder");
        let terraform = Terraform { folder, plugins };
        terraform.write();
        Some(terraform)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A configuration that uses the module on the emulator.
    fn write(&self) {
        let mirror =
            format!("provider_installation {{ filesystem_mirror {{ path = \"{}\" }} }}\n", self.plugins.display());
        std::fs::write(self.path("cli.rc"), mirror).expect("writable");
        // The project beside it, so that the module is used where it lies.
        std::os::unix::fs::symlink(root(), self.path("project")).expect("a link");
        let url = emulator::ministack().url();
        let endpoints: String = ["kinesis", "s3", "glue", "iam", "sts", "ecs", "logs", "cloudwatch"]
            .map(|service| format!("    {service} = \"{url}\"\n"))
            .concat();
        let text = format!(
            "provider \"aws\" {{\n  region = \"us-east-1\"\n  access_key = \"test\"\n  secret_key = \"test\"\n  \
             skip_credentials_validation = true\n  skip_metadata_api_check = true\n  s3_use_path_style = true\n  \
             endpoints {{\n{endpoints}  }}\n}}\n\nmodule \"alluvium\" {{\n  source = \"./project/infra/aws/terraform\"\n  \
             bucket = \"planned-lake\"\n  image = \"registry.example.com/alluvium@sha256:0\"\n  tasks = 3\n  \
             subnets = [\"subnet-1\"]\n  security_groups = [\"sg-1\"]\n}}\n"
        );
        std::fs::write(self.path("main.tf"), text).expect("writable");
    }

    fn run(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("terraform");
        command.args(arguments).current_dir(self.folder.path()).env("TF_CLI_CONFIG_FILE", self.path("cli.rc"));
        tools::output(command.env("CHECKPOINT_DISABLE", "1").env("TF_IN_AUTOMATION", "1"))
    }

    /// What it would make, by address without the module's.
    fn planned(&self) -> BTreeMap<String, Value> {
        self.run(&["init", "-no-color"]);
        self.run(&["plan", "-no-color", "-out=plan"]);
        let plan: Value = serde_json::from_str(&self.run(&["show", "-json", "plan"])).expect("JSON");
        let module = &plan["planned_values"]["root_module"]["child_modules"][0];
        let named = |one: &Value| {
            let address = one["address"].as_str().expect("an address").replace("module.alluvium.", "");
            (address, one["values"].clone())
        };
        list(&module["resources"], "resources").iter().map(named).collect()
    }
}

#[test]
fn the_module_plans_the_same_as_the_template() {
    let Some(terraform) = Terraform::new() else { return };
    let module = file("infra/aws/terraform").display().to_string();
    terraform.run(&["fmt", "-check", "-diff", &module]);
    let planned = terraform.planned();
    let table = &planned["aws_glue_catalog_table.this"];
    let definition = json_of("schemas/ddl/attribute_events.glue.json");
    assert_eq!(table["parameters"], definition["Parameters"]);
    let columns = |of: &Value, name: &str, kind: &str| {
        list(of, "columns").iter().map(|c| (c[name].clone(), c[kind].clone())).collect::<Vec<_>>()
    };
    let storage = &table["storage_descriptor"][0];
    assert_eq!(
        columns(&storage["columns"], "name", "type"),
        columns(&definition["StorageDescriptor"]["Columns"], "Name", "Type")
    );
    assert_eq!(
        columns(&table["partition_keys"], "name", "type"),
        columns(&definition["PartitionKeys"], "Name", "Type")
    );
    assert_eq!(storage["location"], "s3://planned-lake/attribute_events/");

    let of_template = template()["Resources"]["Task0"]["Properties"]["ContainerDefinitions"][0].clone();
    let want = said_of(&of_template, ["Environment", "Name", "ReadonlyRootFilesystem", "StopTimeout"]);
    for number in 0..3 {
        let task = &planned[&format!("aws_ecs_task_definition.this[\"{number}\"]")];
        let definitions = task["container_definitions"].as_str().expect("known before anything is made");
        let containers: Value = serde_json::from_str(definitions).expect("JSON");
        assert_eq!(said_of(&containers[0], ["environment", "name", "readonlyRootFilesystem", "stopTimeout"]), want);
        assert_eq!(containers[0]["command"][4], format!("{number}/3"));
    }
    let services = planned.keys().filter(|address| address.starts_with("aws_ecs_service.this[")).count();
    let alarms = planned.keys().filter(|address| address.starts_with("aws_cloudwatch_metric_alarm.down[")).count();
    assert_eq!((services, alarms), (3, 3));
}
