"""Translates template.yaml as SAM does on deployment and prints the CloudFormation resources as JSON. Argument: the template."""

import json
import os
import sys

from cfnlint.decode import cfn_yaml
from samtranslator.translator.managed_policy_translator import ManagedPolicyLoader
from samtranslator.translator.transform import transform


class NoPolicies(ManagedPolicyLoader):
    """The template names no managed policy of Amazon's: nothing is looked up."""

    def __init__(self):
        super().__init__(None)

    def load(self):
        return {}


template = json.loads(json.dumps(cfn_yaml.load(sys.argv[1])))
# A packaged template has its code in S3; `sam deploy` puts it there.
for resource in template["Resources"].values():
    if resource["Type"] == "AWS::Serverless::Function":
        resource["Properties"]["CodeUri"] = "s3://packaged/package.zip"
os.environ["AWS_DEFAULT_REGION"] = "us-east-1"
json.dump(transform(template, {}, NoPolicies())["Resources"], sys.stdout)
