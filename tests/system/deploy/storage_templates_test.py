"""The templates of file storage: cfn-lint, and what it cannot see."""
import functools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import types
import unittest

from policy_check import denying
from template import ROOT, as_list, load, plain, walk, yaml

FOLDER = os.path.join(ROOT, "deploy/cloudformation/storage")
NAMES = ("scanner-lambda", "scanner-poller", "bucket-attach", "quarantine", "notify", "read-gate", "object-lambda", "all-in-one", "service-catalog")
# The only permissions that AWS does not bind to a resource.
UNBOUND = {"ecr:GetAuthorizationToken", "ec2:CreateNetworkInterface", "ec2:DescribeNetworkInterfaces",
           "ec2:DescribeSubnets", "ec2:DeleteNetworkInterface", "ec2:AssignPrivateIpAddresses",
           "ec2:UnassignPrivateIpAddresses"}


def of_type(template, kind):
    return {name: one for name, one in template["Resources"].items() if one["Type"] == kind}


def statements(template):
    """Of every identity policy: (resource's name, statement)."""
    for name, one in template["Resources"].items():
        if not one["Type"].startswith("AWS::IAM::"):
            continue
        properties = one["Properties"]
        documents = [policy["PolicyDocument"] for policy in properties.get("Policies", [])]
        documents += [properties["PolicyDocument"]] if "PolicyDocument" in properties else []
        for document in documents:
            for statement in plain(document["Statement"]):
                yield name, statement


def each(test):
    """A test of every template."""
    @functools.wraps(test)
    def run(self):
        for name, template in self.templates.items():
            with self.subTest(template=name):
                test(self, name, template)
    return run


def known_variables():
    with open(os.path.join(ROOT, "storage/settings/storage_settings.h"), encoding="utf-8") as file:
        keys = re.findall(r'X\([A-Z_0-9]+, "([a-z0-9_.]+)",', file.read())
    return {"YAGURA_" + key.upper().replace(".", "_") for key in keys}


class TemplateCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if yaml is None:
            raise unittest.SkipTest("python3-yaml is missing")
        cls.templates = {name: load(f"{FOLDER}/{name}.yaml") for name in NAMES}


class RulesTest(TemplateCase):
    """What holds for each of them."""

    def test_all_are_listed(self):
        self.assertEqual(sorted(f"{name}.yaml" for name in NAMES),
                         sorted(name for name in os.listdir(FOLDER) if name.endswith(".yaml")))

    def test_lint(self):
        if shutil.which("cfn-lint") is None:
            self.skipTest("cfn-lint is missing")
        done = subprocess.run(["cfn-lint", *(f"{FOLDER}/{name}.yaml" for name in NAMES)], capture_output=True,
                              text=True, check=False)
        self.assertEqual((done.returncode, done.stdout), (0, ""))

    @each
    def test_no_aliases(self, name, _):
        """CloudFormation does not read YAML's anchors."""
        with open(f"{FOLDER}/{name}.yaml", encoding="utf-8") as file:
            kinds = {type(token) for token in yaml.scan(file)}
        self.assertFalse(kinds & {yaml.AnchorToken, yaml.AliasToken})

    @each
    def test_cost(self, _, template):
        self.assertRegex(template["Metadata"]["Cost"], r"USD|costs")

    @each
    def test_roles(self, _, template):
        """Only AWS's own services take them, no vendor's account; a boundary can be set on each."""
        for role in of_type(template, "AWS::IAM::Role").values():
            for statement in role["Properties"]["AssumeRolePolicyDocument"]["Statement"]:
                self.assertEqual(list(statement["Principal"]), ["Service"])
                self.assertIn(statement["Principal"]["Service"], ("lambda.amazonaws.com", "ecs-tasks.amazonaws.com"))
            self.assertEqual(role["Properties"]["PermissionsBoundary"]["If"][0], "HasBoundary")
            self.assertNotIn("ManagedPolicyArns", role["Properties"])

    @each
    def test_permissions(self, _, template):
        """Named actions on named resources."""
        for _, statement in statements(template):
            actions = set(as_list(statement["Action"]))
            self.assertFalse([action for action in actions if "*" in action])
            if "*" in as_list(statement["Resource"]):
                self.assertLessEqual(actions, UNBOUND, statement["Sid"])
            for resource in as_list(statement["Resource"]):
                if isinstance(resource, dict) and "Sub" in resource and ":s3:::" in str(resource):
                    self.assertRegex(str(resource["Sub"]), r":s3:::\$\{(Bucket|PromoteBucket|MirrorBucket)Name\}(/(\$\{MirrorPrefix\})?\*)?$")

    @each
    def test_mirror(self, name, template):
        """No more of the signatures' bucket than what is below the prefix."""
        asked = [one for _, one in statements(template) if "${MirrorBucketName}" in str(one["Resource"])]
        scans = name in ("object-lambda", "read-gate", "scanner-lambda", "scanner-poller")
        self.assertEqual(len(asked), 2 if scans else 0)
        for one in asked:
            if one["Action"] == "s3:GetObject":
                self.assertTrue(one["Resource"]["Sub"].endswith(":s3:::${MirrorBucketName}/${MirrorPrefix}*"), one)
            else:
                self.assertEqual(one["Action"], "s3:ListBucket")
                self.assertEqual(one["Condition"], {"StringEquals": {"s3:prefix": {"Ref": "MirrorPrefix"}}})

    @each
    def test_keys(self, _, template):
        """A key of objects is used by way of S3 only."""
        for _, statement in statements(template):
            if statement["Resource"] in ({"Ref": "BucketKeyArn"}, {"Ref": "PromoteKeyArn"}, {"Ref": "MirrorKeyArn"}, {"GetAtt": "Key.Arn"}):
                self.assertIn("kms:ViaService", statement["Condition"]["StringEquals"])

    @each
    def test_mirror_key(self, name, template):
        """Signatures that are encrypted by a key can be read by whatever scans, and by nothing else."""
        found = [one["Action"] for _, one in statements(template) if one["Resource"] == {"Ref": "MirrorKeyArn"}]
        scans = name in ("object-lambda", "read-gate", "scanner-lambda", "scanner-poller")
        self.assertEqual(found, ["kms:Decrypt"] if scans else [])

    @each
    def test_programs(self, _, template):
        """What scans runs from the image, with its signatures; the rest also from the zip, and does the same there."""
        for function in of_type(template, "AWS::Lambda::Function").values():
            properties = function["Properties"]
            if isinstance(properties.get("Runtime"), str):  # the template's own Python
                continue
            if properties["PackageType"] == "Image":
                self.assertIn(properties["ImageConfig"]["Command"], (["lambda"], ["gate"], ["object-lambda"]))
                continue
            command = properties["ImageConfig"]["If"][2]["Command"]
            self.assertIn(command, (["action"], ["dead-letter"]))
            self.assertEqual(properties["PackageType"], {"If": ["HasZip", "Zip", "Image"]})
            self.assertEqual(properties["Handler"]["If"][:2], ["HasZip", command[0]])
            self.assertEqual(properties["Runtime"]["If"][:2], ["HasZip", "provided.al2023"])
            self.assertEqual(properties["Code"]["If"], ["HasZip", {"S3Bucket": {"Ref": "ZipBucketName"}, "S3Key": {"Ref": "ZipKey"}},
                                                        {"ImageUri": {"Ref": "ImageUri"}}])

    @each
    def test_queues(self, _, template):
        """Encrypted, kept as long as SQS keeps; a queue has dead letters or is where they go, under an alarm."""
        queues = of_type(template, "AWS::SQS::Queue")
        watched = {dimension["Value"]["GetAtt"].split(".")[0] for alarm in of_type(template, "AWS::CloudWatch::Alarm").values()
                   for dimension in alarm["Properties"].get("Dimensions", []) if dimension["Name"] == "QueueName"}
        for name, queue in queues.items():
            properties = queue["Properties"]
            self.assertEqual(properties["MessageRetentionPeriod"], 1209600)
            self.assertIn("SqsManagedSseEnabled", properties)
            if name in ("DeadLetters", "Undelivered"):
                self.assertIn(name, watched)
            else:
                self.assertEqual(properties["RedrivePolicy"],
                                 {"deadLetterTargetArn": {"GetAtt": "DeadLetters.Arn"}, "maxReceiveCount": 5})

    @each
    def test_deliveries(self, _, template):
        """What AWS delivers for us has somewhere to go when it cannot be."""
        for subscription in of_type(template, "AWS::SNS::Subscription").values():
            self.assertIn("deadLetterTargetArn", subscription["Properties"]["RedrivePolicy"])
            self.assertIn("type", subscription["Properties"]["FilterPolicy"])
        for rule in of_type(template, "AWS::Events::Rule").values():
            self.assertTrue(all("DeadLetterConfig" in target for target in rule["Properties"]["Targets"]))
        for source in of_type(template, "AWS::Lambda::EventSourceMapping").values():
            self.assertEqual(source["Properties"]["FunctionResponseTypes"], ["ReportBatchItemFailures"])

    @each
    def test_time(self, _, template):
        """A queue waits six times as long as its function may run (AWS's advice)."""
        for source in of_type(template, "AWS::Lambda::EventSourceMapping").values():
            queue = template["Resources"][source["Properties"]["EventSourceArn"]["GetAtt"].split(".")[0]]
            function = template["Resources"][source["Properties"]["FunctionName"]["Ref"]]
            timeout = function["Properties"]["Timeout"]
            if isinstance(timeout, dict):
                timeout = template["Parameters"][timeout["Ref"]]["MaxValue"]
            self.assertGreaterEqual(queue["Properties"]["VisibilityTimeout"], 6 * timeout)

    @each
    def test_functions(self, _, template):
        """Each logs into a group that is made here and kept for a while; each that runs has an alarm beside it."""
        functions = of_type(template, "AWS::Lambda::Function")
        for function in functions.values():
            group = template["Resources"][function["Properties"]["LoggingConfig"]["LogGroup"]["Ref"]]
            self.assertGreaterEqual(group["Properties"]["RetentionInDays"], 30)
        if functions:
            self.assertTrue(of_type(template, "AWS::CloudWatch::Alarm"))

    @each
    def test_alarms(self, _, template):
        for alarm in of_type(template, "AWS::CloudWatch::Alarm").values():
            self.assertEqual(alarm["Properties"]["AlarmActions"]["If"][:2], ["HasAlarmTopic", [{"Ref": "AlarmTopicArn"}]])
            self.assertTrue(alarm["Properties"]["AlarmDescription"])

    @each
    def test_vpc(self, name, template):
        """Everything that scans or acts can stand in a VPC, and may make its interfaces there."""
        for key, function in of_type(template, "AWS::Lambda::Function").items():
            if "Runtime" in function["Properties"] or key == "DeadLetterReporter":
                continue
            self.assertEqual(function["Properties"]["VpcConfig"]["If"][0], "HasVpc")
            self.assertTrue(any(one["Sid"] == "NetworkInterfaces" for _, one in statements(template)), name)

    @each
    def test_buckets(self, _, template):
        """Whatever holds malware is shut, encrypted by a key of its own and reached by TLS only."""
        for name, bucket in of_type(template, "AWS::S3::Bucket").items():
            properties = bucket["Properties"]
            self.assertEqual(set(properties["PublicAccessBlockConfiguration"].values()), {True})
            self.assertEqual(properties["VersioningConfiguration"], {"Status": "Enabled"})
            default = properties["BucketEncryption"]["ServerSideEncryptionConfiguration"][0]
            self.assertEqual(default["ServerSideEncryptionByDefault"]["SSEAlgorithm"], "aws:kms")
            rules = properties["LifecycleConfiguration"]["Rules"]
            self.assertTrue(any("AbortIncompleteMultipartUpload" in rule for rule in rules))
            policies = [one["Properties"] for one in of_type(template, "AWS::S3::BucketPolicy").values()]
            tls = [one for policy in policies if policy["Bucket"] == {"Ref": name}
                   for one in policy["PolicyDocument"]["Statement"] if one["Sid"] == "OnlyByTls"]
            self.assertEqual(len(tls), 1)

    def test_nested(self):
        """What all-in-one.yaml passes, the other templates have; what they need is passed; what it reads, they say."""
        main = self.templates["all-in-one"]
        children = {}
        for name, one in of_type(main, "AWS::CloudFormation::Stack").items():
            child = children[name] = self.templates[one["Properties"]["TemplateURL"]["Sub"].split("/")[-1][:-len(".yaml")]]
            passed = set(one["Properties"]["Parameters"])
            self.assertLessEqual(passed, set(child["Parameters"]), name)
            self.assertLessEqual({key for key, value in child["Parameters"].items() if "Default" not in value}, passed)
            for shared in ("PermissionsBoundaryArn", "AlarmTopicArn"):
                self.assertIn(shared, passed)
        for value in walk(main):
            if isinstance(value, dict) and isinstance(value.get("GetAtt"), str) and ".Outputs." in value["GetAtt"]:
                stack, output = value["GetAtt"].split(".Outputs.")
                self.assertIn(output, children[stack]["Outputs"])

    def test_settings(self):
        """Every variable of a template is one that the program reads."""
        known = known_variables()
        used = {key for template in self.templates.values() for value in walk(template) if isinstance(value, dict)
                for key in [*value, value.get("Name")] if isinstance(key, str) and key.startswith("YAGURA_")}
        self.assertTrue(used)
        self.assertFalse(used - known)


class ScannerTest(TemplateCase):
    def test_log_alarms(self):
        """Incomplete objects are counted by words that the program says."""
        with open(os.path.join(ROOT, "storage/scan/object_scanner.c"), encoding="utf-8") as file:
            words = file.read()
        self.assertIn('"object_scanned", "verdict"', words)
        for template in (self.templates["scanner-lambda"], self.templates["scanner-poller"]):
            filters = of_type(template, "AWS::Logs::MetricFilter")
            self.assertEqual({one["Properties"]["FilterPattern"] for one in filters.values()}, {'"verdict=incomplete"'})
            counted = {one["Properties"]["MetricTransformations"][0]["MetricName"]["Sub"] for one in filters.values()}
            alarmed = {str(one["Properties"]["MetricName"].get("Sub")) for one in of_type(template, "AWS::CloudWatch::Alarm").values()
                       if isinstance(one["Properties"]["MetricName"], dict)}
            self.assertEqual(counted, alarmed)

    def test_signature_age(self):
        """The alarm is on the metric that the program writes into its log, by the name that it is given there."""
        with open(os.path.join(ROOT, "storage/scan/scanner_metric.c"), encoding="utf-8") as file:
            words = file.read().replace("\\", "")
        for name, where in (("scanner-lambda", "Scanner"), ("scanner-poller", "Task")):
            template = self.templates[name]
            alarm = template["Resources"]["SignaturesAlarm"]["Properties"]
            self.assertIn(f'"Namespace":"{alarm["Namespace"]}"', words)
            self.assertIn(f'"Name":"{alarm["MetricName"]}","Unit":"Seconds"', words)
            self.assertEqual(alarm["Dimensions"], [{"Name": "Scanner", "Value": {"Ref": "AWS::StackName"}}])
            self.assertIn('"Dimensions":[["Scanner"]]', words)
            given = [value for one in walk(template["Resources"][where]) if isinstance(one, dict)
                     for value in ([one["Value"]] if one.get("Name") == "YAGURA_METRICS_SCANNER" else
                                   [one[key] for key in one if key == "YAGURA_METRICS_SCANNER"])]
            self.assertEqual(given, [{"Ref": "AWS::StackName"}])
            self.assertEqual(alarm["Threshold"], {"Ref": "MostSignatureAge"})
            self.assertEqual(template["Parameters"]["MostSignatureAge"]["Default"], 3 * 86400)

    def test_same_queue(self):
        """Both profiles are fed, watched and answered for alike."""
        small, large = self.templates["scanner-lambda"], self.templates["scanner-poller"]
        for name in ("Queue", "DeadLetters", "QueuePolicy", "Topic", "TopicPolicy", "DeadLetterReporter", "DeadLetterRole",
                     "DeadLetterSource", "BacklogAlarm", "DeadLetterAlarm", "UnscannedAlarm", "SignaturesAlarm", "IncompleteAlarm"):
            self.assertEqual(small["Resources"][name], large["Resources"][name])
        self.assertEqual(small["Outputs"], large["Outputs"])

    def test_queue_policy(self):
        """S3 and EventBridge of this account write, nobody else."""
        document = self.templates["scanner-lambda"]["Resources"]["QueuePolicy"]["Properties"]["PolicyDocument"]
        allowed = {one["Principal"]["Service"]: one["Condition"] for one in document["Statement"] if one["Effect"] == "Allow"}
        self.assertEqual(set(allowed), {"s3.amazonaws.com", "events.amazonaws.com"})
        self.assertEqual(allowed["s3.amazonaws.com"]["StringEquals"], {"aws:SourceAccount": {"Ref": "AWS::AccountId"}})
        self.assertIn("${AWS::AccountId}", str(allowed["events.amazonaws.com"]))

    def test_scaling(self):
        """By the backlog of each running task; never from none."""
        template = self.templates["scanner-poller"]
        policy = template["Resources"]["ScalingOnBacklog"]["Properties"]["TargetTrackingScalingPolicyConfiguration"]
        metrics = {one["Id"]: one for one in policy["CustomizedMetricSpecification"]["Metrics"]}
        names = {one["MetricStat"]["Metric"]["MetricName"] for one in metrics.values() if "MetricStat" in one}
        self.assertEqual(names, {"ApproximateNumberOfMessagesVisible", "RunningTaskCount"})
        self.assertEqual([key for key, one in metrics.items() if one["ReturnData"]], ["backlog"])
        self.assertTrue(set(re.findall(r"\b[a-z]+\b", metrics["backlog"]["Expression"])) <= set(metrics))
        self.assertGreaterEqual(template["Parameters"]["LeastTasks"]["MinValue"], 1)
        self.assertEqual(template["Resources"]["Cluster"]["Properties"]["ClusterSettings"],
                         [{"Name": "containerInsights", "Value": "enabled"}])

    def test_container(self):
        """Read-only root, no capability, only /tmp to write in, time to hand messages back."""
        container = self.templates["scanner-poller"]["Resources"]["Task"]["Properties"]["ContainerDefinitions"][0]
        self.assertIs(container["ReadonlyRootFilesystem"], True)
        self.assertEqual(container["LinuxParameters"]["Capabilities"], {"Drop": ["ALL"]})
        self.assertEqual([one["ContainerPath"] for one in container["MountPoints"]], ["/tmp"])
        self.assertGreaterEqual(container["StopTimeout"], 60)


def inline(template, resource):
    """The code of a function in a template, with AWS's cfnresponse replaced. Returns the module and what it said."""
    said = []
    answer = types.ModuleType("cfnresponse")
    answer.SUCCESS, answer.FAILED = "SUCCESS", "FAILED"
    answer.send = lambda event, context, status, data, name, reason=None: said.append((status, name, reason))
    sys.modules["cfnresponse"] = answer
    module = types.ModuleType(resource)
    exec(template["Resources"][resource]["Properties"]["Code"]["ZipFile"], module.__dict__)  # pylint: disable=exec-used
    return module, said


class CustomResourceTest(TemplateCase):
    """The two functions that the templates bring, on moto's S3."""

    def setUp(self):
        try:
            import boto3
            import moto
        except ImportError:
            self.skipTest("moto or boto3 is missing")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            os.environ.setdefault(name, "testing")
        os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
        mock = moto.mock_aws()
        mock.start()
        self.addCleanup(mock.stop)
        self.s3 = boto3.client("s3")
        self.s3.create_bucket(Bucket="uploads")
        self.sqs = boto3.client("sqs")

    def queue(self, name):
        url = self.sqs.create_queue(QueueName=name)["QueueUrl"]
        return self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]

    def notifications(self):
        found = self.s3.get_bucket_notification_configuration(Bucket="uploads")
        return {one["Id"]: one for one in found.get("QueueConfigurations", [])}

    def test_notification(self):
        """Ours comes, changes and goes; others' stay."""
        module, said = inline(self.templates["bucket-attach"], "Notifier")
        others = {"Id": "others", "QueueArn": self.queue("others"), "Events": ["s3:ObjectRemoved:*"]}
        self.s3.put_bucket_notification_configuration(
            Bucket="uploads", NotificationConfiguration={"QueueConfigurations": [others]})
        given = {"Bucket": "uploads", "Id": "yagura-one", "QueueArn": self.queue("scans"), "Prefix": "in/", "Suffix": "",
                 "Way": "notification"}
        module.handler({"RequestType": "Create", "ResourceProperties": given}, None)
        queues = self.notifications()
        self.assertEqual(set(queues), {"others", "yagura-one"})
        self.assertEqual(queues["yagura-one"]["Filter"]["Key"]["FilterRules"], [{"Name": "prefix", "Value": "in/"}])
        module.handler({"RequestType": "Update", "ResourceProperties": {**given, "Prefix": ""}}, None)
        queues = self.notifications()
        self.assertEqual(set(queues), {"others", "yagura-one"})
        self.assertNotIn("Filter", queues["yagura-one"])
        module.handler({"RequestType": "Delete", "ResourceProperties": given}, None)
        self.assertEqual(set(self.notifications()), {"others"})
        self.assertEqual({one[0] for one in said}, {"SUCCESS"})

    def test_eventbridge(self):
        """Is turned on beside what is there, takes the place of our queue, and stays on: others may use it."""
        module, _ = inline(self.templates["bucket-attach"], "Notifier")
        current = {"QueueConfigurations": [{"Id": "yagura-one"}, {"Id": "others"}], "ResponseMetadata": {},
                   "TopicConfigurations": [{"Id": "topic"}]}
        merged = module.merge(current, {"Id": "yagura-one", "Way": "eventbridge"}, True)
        self.assertEqual(merged, {"QueueConfigurations": [{"Id": "others"}], "TopicConfigurations": [{"Id": "topic"}],
                                  "EventBridgeConfiguration": {}})
        self.assertEqual(module.merge(merged, {"Id": "yagura-one", "Way": "eventbridge"}, False), merged)

    def test_gone_bucket(self):
        """Its stacks can still be deleted, and cannot be made."""
        for template, resource in (("bucket-attach", "Notifier"), ("read-gate", "PolicyWriter")):
            module, said = inline(self.templates[template], resource)
            given = {"Bucket": "gone", "Id": "yagura-one", "Way": "notification", "QueueArn": "arn", "Statements": []}
            for kind, status in (("Delete", "SUCCESS"), ("Create", "FAILED")):
                module.handler({"RequestType": kind, "ResourceProperties": given}, None)
                self.assertEqual(said[-1][0], status)

    def test_policy(self):
        """Ours come and go; others' stay; no policy is left where none was."""
        module, said = inline(self.templates["read-gate"], "PolicyWriter")
        ours = [{"Sid": "YaguraOne", "Effect": "Deny", "Principal": "*", "Action": "s3:GetObject",
                 "Resource": "arn:aws:s3:::uploads/*", "Condition": {"ArnNotLike": {"aws:PrincipalArn": ["arn:a", ""]}}}]
        given = {"Bucket": "uploads", "Statements": ours}
        module.handler({"RequestType": "Create", "ResourceProperties": given}, None)
        policy = json.loads(self.s3.get_bucket_policy(Bucket="uploads")["Policy"])
        self.assertEqual(policy["Statement"][0]["Condition"], {"ArnNotLike": {"aws:PrincipalArn": ["arn:a"]}})
        module.handler({"RequestType": "Delete", "ResourceProperties": given}, None)
        self.assertRaises(self.s3.exceptions.ClientError, self.s3.get_bucket_policy, Bucket="uploads")
        others = {"Sid": "Tls", "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::uploads/*"}
        self.s3.put_bucket_policy(Bucket="uploads", Policy=json.dumps({"Version": "2012-10-17", "Statement": others}))
        for kind, sids in (("Create", ["Tls", "YaguraOne"]), ("Update", ["Tls", "YaguraOne"]), ("Delete", ["Tls"])):
            module.handler({"RequestType": kind, "ResourceProperties": given}, None)
            policy = json.loads(self.s3.get_bucket_policy(Bucket="uploads")["Policy"])
            self.assertEqual([one["Sid"] for one in policy["Statement"]], sids)
        self.assertEqual({one[0] for one in said}, {"SUCCESS"})


class TagGateTest(TemplateCase):
    """Whom the statements of read-gate.yaml deny what."""
    SCANNER, GATE, READER = "arn:scanner", "arn:gate", "arn:reader"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        resources = cls.templates["read-gate"]["Resources"]
        text = json.dumps(resources["Policy"]["Properties"]["Statements"])
        trusted = {"Split": [",", {"Join": [",", [{"Ref": "ScannerRoleArn"}, {"GetAtt": "Role.Arn"}, {"Ref": "QuarantineRoleArn"},
                                                  {"Join": [",", {"Ref": "TrustedPrincipalArns"}]}]]}]}
        cls.count = text.count(json.dumps(trusted))
        text = text.replace(json.dumps(trusted), json.dumps([cls.SCANNER, cls.GATE]))
        cls.statements = json.loads(text.replace('{"GetAtt": "Role.Arn"}', json.dumps(cls.GATE)))

    def denied(self, action, who, tag=None, link=False, age="1000", **keys):
        request = {"aws:PrincipalArn": who, "s3:authType": "REST-QUERY-STRING" if link else "REST-HEADER",
                   "s3:signatureAge": age, **keys}
        if tag is not None:
            request["s3:ExistingObjectTag/yagura-scan-status"] = tag
        return denying(self.statements, action, keys=request)

    def test_whole(self):
        self.assertEqual(self.count, 3)
        self.assertTrue(all(one["Effect"] == "Deny" and one["Sid"].isalnum() for one in self.statements))

    def test_reading(self):
        for action in ("s3:GetObject", "s3:GetObjectVersion"):
            self.assertFalse(self.denied(action, self.READER, "clean"))
            self.assertFalse(self.denied(action, self.READER, "clean", link=True))
            for tag in (None, "infected", "incomplete", "error", "Clean", ""):
                self.assertTrue(self.denied(action, self.READER, tag))
                self.assertTrue(self.denied(action, None, tag))
                self.assertFalse(self.denied(action, self.SCANNER, tag))

    def test_links(self):
        """The gate reads to scan, but its links lead to clean objects only, and not for long."""
        self.assertFalse(self.denied("s3:GetObjectVersion", self.GATE))
        self.assertTrue(self.denied("s3:GetObjectVersion", self.GATE, link=True))
        self.assertTrue(self.denied("s3:GetObjectVersion", self.SCANNER, "infected", link=True))
        self.assertFalse(self.denied("s3:GetObjectVersion", self.GATE, "clean", link=True, age="59000"))
        self.assertTrue(self.denied("s3:GetObjectVersion", self.GATE, "clean", link=True, age="61000"))

    def test_forging(self):
        for action in ("s3:PutObjectTagging", "s3:PutObjectVersionTagging", "s3:DeleteObjectTagging", "s3:ReplicateTags"):
            self.assertTrue(self.denied(action, self.READER))
            self.assertFalse(self.denied(action, self.SCANNER))
        keys = {"s3:RequestObjectTagKeys": ["team", "yagura-scan-status"]}
        self.assertTrue(self.denied("s3:PutObject", self.READER, **keys))
        self.assertFalse(self.denied("s3:PutObject", self.READER))
        self.assertFalse(self.denied("s3:PutObject", self.READER, **{"s3:RequestObjectTagKeys": ["team"]}))
        self.assertFalse(self.denied("s3:PutObject", self.SCANNER, **keys))


class TerraformTest(TemplateCase):
    """The module makes what the templates make."""
    FOLDER = os.path.join(ROOT, "deploy/terraform/storage")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.files = {}
        for name in sorted(os.listdir(cls.FOLDER)):
            if name.endswith(".tf"):
                with open(os.path.join(cls.FOLDER, name), encoding="utf-8") as file:
                    cls.files[name] = file.read()
        cls.text = "\n".join(cls.files.values())

    def blocks(self, kind):
        """Whole blocks of a resource's or document's type, by name."""
        pattern = rf'^(?:resource|data) "{kind}" "(\w+)" {{\n(.*?)^}}'
        return dict(re.findall(pattern, self.text, re.M | re.S))

    def test_format(self):
        if shutil.which("terraform") is None:
            self.skipTest("terraform is missing")
        done = subprocess.run(["terraform", "fmt", "-check", "-diff", self.FOLDER], capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stdout), (0, ""), done.stderr)

    def test_validates(self):
        """By Terraform itself, where it and AWS's provider are to be had."""
        if shutil.which("terraform") is None:
            self.skipTest("terraform is missing, which no package of Debian has: the module is not validated")
        with tempfile.TemporaryDirectory() as folder:
            module = shutil.copytree(self.FOLDER, folder + "/module")
            begun = subprocess.run(["terraform", f"-chdir={module}", "init", "-backend=false", "-input=false"],
                                   capture_output=True, text=True, check=False)
            if begun.returncode != 0:
                self.skipTest("AWS's provider for terraform is not to be had: " + begun.stderr.strip()[:200])
            done = subprocess.run(["terraform", f"-chdir={module}", "validate", "-no-color"], capture_output=True, text=True,
                                  check=False)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_names(self):
        """What is used is declared, and the other way round."""
        declared = set(re.findall(r'^variable "(\w+)"', self.text, re.M))
        self.assertEqual(set(re.findall(r"\bvar\.(\w+)", self.text)), declared)
        made = {f"{kind}.{name}" for kind, name in re.findall(r'^resource "(\w+)" "(\w+)"', self.text, re.M)}
        used = set(re.findall(r"(?<!data\.)\b(aws_\w+\.\w+)", self.text))
        self.assertFalse({one for one in used if not one.startswith(("aws_iam_policy_document.", "aws_caller", "aws_part", "aws_reg"))}
                         - made)
        documents = set(self.blocks("aws_iam_policy_document"))
        self.assertEqual(set(re.findall(r"data\.aws_iam_policy_document\.(\w+)", self.text)), documents)

    def test_permissions(self):
        """The roles may do what those of the templates may, and nothing more."""
        documents = self.blocks("aws_iam_policy_document")

        def actions(*names):
            lists = re.findall(r"actions\s+= \[(.*?)\]", "".join(documents[name] for name in names), re.S)
            return set(re.findall(r'"([\w-]+:\w+)"', "".join(lists)))

        def of_template(name, *resources):
            return {action for resource, statement in statements(self.templates[name]) if resource in resources
                    for action in as_list(statement["Action"])}
        self.assertEqual(actions("scanner", "common", "mirror"), of_template("scanner-lambda", "ScannerRole"))
        self.assertEqual(actions("dead_letters", "common") - of_template("scanner-lambda", "ScannerRole"), set())
        self.assertEqual(actions("execution"), of_template("scanner-poller", "ExecutionRole"))
        self.assertEqual(actions("quarantine", "promote", "common"), of_template("quarantine", "Role"))
        self.assertEqual(actions("notices", "common"), of_template("notify", "Role"))
        self.assertEqual(actions("object_lambda", "common", "mirror"), of_template("object-lambda", "Role"))
        self.assertEqual(actions("gate", "common", "mirror"), of_template("read-gate", "Role"))
        self.assertEqual(actions("read_and_tag"), of_template("bucket-attach", "ScannerAccess"))
        self.assertEqual(actions("read_and_tag", "quarantine_bucket") - {"s3:ListBucketVersions"},
                         of_template("bucket-attach", "QuarantineAccess"))

    def test_mirror(self):
        mirror = self.blocks("aws_iam_policy_document")["mirror"]
        self.assertEqual(re.findall(r"resources = \[(.*)\]", mirror),
                         ['"arn:${local.partition}:s3:::${statement.value}/${var.mirror_prefix}*"',
                          '"arn:${local.partition}:s3:::${statement.value}"', "statement.value"])
        self.assertRegex(mirror, r'(?s)for_each = var\.mirror_key_arn == "".*"MirrorKey".*\["kms:Decrypt"\].*variable = "kms:ViaService"')
        self.assertRegex(mirror, r'(?s)"ListMirror".*for_each = var\.mirror_prefix == "".*test += "StringEquals"\n'
                                 r'\s+variable = "s3:prefix"\n\s+values += \[condition\.value\]')

    def test_programs(self):
        """By zip or image each function does what that of the templates does."""
        modes = {"dead_letters": "dead-letter", "quarantine": "action", "notices": "action"}
        for name, function in self.blocks("aws_lambda_function").items():
            command = re.search(r'command = \["([\w-]+)"\]', function)[1]
            handler = re.search(r'handler += local\.by_zip \? "([\w-]+)" : null', function)
            self.assertEqual((command, handler and handler[1]), (modes.get(name, command), modes.get(name)), name)
            self.assertEqual("local.small.package_type" in function, name in modes, name)
            self.assertEqual('"Image"' in function, name not in modes, name)

    def test_signature_age(self):
        alarm = self.blocks("aws_cloudwatch_metric_alarm")["signature_age"]
        self.assertRegex(alarm, r'metric_name += "SignatureAge"\n\s+dimensions += { Scanner = var\.name }')
        self.assertEqual(self.files["scanner.tf"].count("YAGURA_METRICS_SCANNER = var.name"), 2)

    def test_tag_gate(self):
        """The same statements with the same conditions."""
        found = re.findall(r'sid\s+= "(Yagura\w+)"', self.blocks("aws_iam_policy_document")["tag_gate"])
        wanted = self.templates["read-gate"]["Resources"]["Policy"]["Properties"]["Statements"]
        self.assertEqual(found, [one["Sid"] for one in wanted])
        pairs = sorted(re.findall(r'test\s+= "([\w:]+)"\n\s+variable = "([\w:/-]+)"',
                                  self.blocks("aws_iam_policy_document")["tag_gate"]))
        self.assertEqual(pairs, sorted((test, key) for one in wanted for test, block in one["Condition"].items() for key in block))

    def test_each(self):
        for name, role in self.blocks("aws_iam_role").items():
            with self.subTest(role=name):
                self.assertRegex(role, r"permissions_boundary += local\.boundary")
                self.assertRegex(role, r"data\.aws_iam_policy_document\.(lambda|ecs)\.json")
        for name, queue in self.blocks("aws_sqs_queue").items():
            with self.subTest(queue=name):
                self.assertRegex(queue, r"message_retention_seconds += 1209600")
                self.assertIn("sqs_managed_sse_enabled", queue)
                self.assertTrue("redrive_policy" in queue or re.search(rf"QueueName = aws_sqs_queue\.{name}\[0\]\.name", self.text) or
                                f"aws_sqs_queue.{name}.name" in self.files["main.tf"])
        for name, alarm in self.blocks("aws_cloudwatch_metric_alarm").items():
            self.assertRegex(alarm, r"alarm_actions += local\.alarms", name)
        used = set(re.findall(r"\bYAGURA_[A-Z_]+", self.text))
        self.assertFalse(used - known_variables())


if __name__ == "__main__":
    result = unittest.main(exit=False, verbosity=2).result
    bad, skipped = len(result.failures) + len(result.errors), len(result.skipped)
    print(f"{max(0, result.testsRun - bad - skipped)} passed, {bad} failed, {skipped} skipped")
    sys.exit(1 if bad else 0)
