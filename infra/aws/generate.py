"""Writes the table, the actions and the tasks into cloudformation.yaml, where it says `generated`; `--check` says whether they are there already.

The table is what `alluvium ddl --dialect glue` writes (schemas/ddl/), the actions are those of permissions.json, which a test compares with
the calls in the code.
"""

import json
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).parent
TEMPLATE = HERE / "cloudformation.yaml"
TABLE = HERE.parent.parent / "schemas" / "ddl" / "attribute_events.glue.json"
BLOCK = re.compile(r"^( *)# generated: (\w+)\n.*?^\1# end of generated\n", re.M | re.S)


# What YAML 1.1 takes for something else than a text.
WORDS = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}

TASK = """\
Task@:
  Type: AWS::ECS::TaskDefinition
  Properties:
    Family: !Sub ${Name}-@
    RequiresCompatibilities: [FARGATE]
    NetworkMode: awsvpc
    Cpu: !FindInMap [Sizes, !Ref Size, Cpu]
    Memory: !FindInMap [Sizes, !Ref Size, Memory]
    TaskRoleArn: !GetAtt Service.Arn
    ExecutionRoleArn: !GetAtt Start.Arn
    ContainerDefinitions:
      - Name: alluvium
        Image: !Ref Image
        Essential: true
        Command: [run, --config, /etc/alluvium/alluvium.toml, --task, !Sub "@/${Tasks}", --log-format, json]
        User: "10001"
        ReadonlyRootFilesystem: true
        LinuxParameters: {Capabilities: {Drop: [ALL]}}
        # Time to cut and store what is open; Fargate allows no more. A kill loses nothing either.
        StopTimeout: 120
        PortMappings:
          - ContainerPort: 9464
        Environment:
          - {Name: STREAM, Value: !Ref Stream}
          - {Name: LAKE_BUCKET, Value: !Ref Lake}
          - {Name: BUFFER_MEMORY, Value: !FindInMap [Sizes, !Ref Size, Buffers]}
          - {Name: AWS_REGION, Value: !Ref AWS::Region}
        LogConfiguration:
          LogDriver: awslogs
          Options:
            awslogs-group: !Ref Logs
            awslogs-region: !Ref AWS::Region
            awslogs-stream-prefix: task

Service@:
  Type: AWS::ECS::Service
  Properties:
    ServiceName: !Sub ${Name}-@
    Cluster: !Ref Cluster
    TaskDefinition: !Ref Task@
    DesiredCount: 1
    LaunchType: FARGATE
    # The old task ends before the new one begins: it cuts, stores and gives its shards up, and nobody has to take them by force.
    DeploymentConfiguration:
      MinimumHealthyPercent: 0
      MaximumPercent: 100
      DeploymentCircuitBreaker: {Enable: true, Rollback: true}
    NetworkConfiguration:
      AwsvpcConfiguration:
        Subnets: !Ref Subnets
        SecurityGroups: !Ref SecurityGroups
        AssignPublicIp: DISABLED

Down@:
  Type: AWS::CloudWatch::Alarm
  Properties:
    AlarmDescription: "Task @ does not run: infra/runbook.md#alluviumdown"
    Namespace: ECS/ContainerInsights
    MetricName: RunningTaskCount
    Dimensions:
      - {Name: ClusterName, Value: !Ref Cluster}
      - {Name: ServiceName, Value: !GetAtt Service@.Name}
    Statistic: Minimum
    Period: 60
    EvaluationPeriods: 5
    ComparisonOperator: LessThanThreshold
    Threshold: 1
    TreatMissingData: breaching
    AlarmActions: !If [WithTopic, [!Ref AlarmTopic], []]
    OKActions: !If [WithTopic, [!Ref AlarmTopic], []]
"""


def tasks(pad):
    """A service of one task for each number; the templates' own loops need a transform, which not every tool knows."""
    for number in range(8):
        least = next(tasks for tasks in (1, 2, 4, 8) if tasks > number)
        condition = f"\\1\n  Condition: From{least}" if least > 1 else "\\1"
        text = re.sub(r"^(  Type: .*)$", condition, TASK.replace("@", str(number)), flags=re.M)
        yield from (pad + line if line else "" for line in text.splitlines())
        if number < 7:
            yield ""


def scalar(value):
    """A plain word as it is, everything else as JSON, which is YAML too."""
    plain = isinstance(value, str) and re.fullmatch(r"[A-Za-z_][\w./ -]*", value) and value.lower() not in WORDS
    return value if plain else json.dumps(value)


def block(value, indent):
    """YAML of nested objects and lists."""
    pad = " " * indent
    if isinstance(value, dict):
        for key, inner in value.items():
            if isinstance(inner, (dict, list)):
                yield f"{pad}{key}:"
                yield from block(inner, indent + 2)
            else:
                yield f"{pad}{key}: {inner if isinstance(inner, Sub) else scalar(inner)}"
    else:
        for inner in value:
            yield f"{pad}- {{{', '.join(f'{k}: {scalar(v)}' for k, v in inner.items())}}}"


class Sub(str):
    """An intrinsic function, written as it is."""


def table():
    definition = json.loads(TABLE.read_text())
    definition["StorageDescriptor"]["Location"] = Sub(f"!Sub s3://${{Lake}}/{definition['Name']}/")
    return definition


def written(found):
    indent, what = len(found[1]), found[2]
    if what == "table":
        lines = block(table(), indent)
    elif what == "tasks":
        lines = tasks(found[1])
    else:
        actions = json.loads((HERE / "permissions.json").read_text())[what]
        lines = [f"{found[1]}Action: [{', '.join(actions)}]"]
    return "\n".join([f"{found[1]}# generated: {what}", *lines, f"{found[1]}# end of generated\n"])


before = TEMPLATE.read_text()
after = BLOCK.sub(written, before)
if sys.argv[1:] == ["--check"]:
    if before != after:
        sys.exit(f"{TEMPLATE.name} is not what generate.py makes: run python3 infra/aws/generate.py")
else:
    TEMPLATE.write_text(after)
