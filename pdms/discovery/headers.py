# ruff: noqa: E501, ISC004  (patterns are read as units)
"""What column headers say, in Chinese and English.

Guarantee: the first row of the table that fits wins, specific words before general ones (`IP地址` before `地址`,
`product_name` before `name`). A header is a claim; `columns` holds it against the values.
"""

import re
import unicodedata
from dataclasses import dataclass

from pdms.discovery.spans import Label


@dataclass(frozen=True, slots=True)
class Claim:
    """What a header says its column is. `field` is a pdms field or target name, None where pdms has none."""

    field: str | None
    label: str | None
    rule: str


_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_BREAK = re.compile(r"[^0-9a-z\u4e00-\u9fff]+")
_OPAQUE = re.compile(r"(?:c|col|column|field|f|x|v|var|attr|列|字段|unnamed)?[ _]*[0-9]*|[a-z]")


def words_of(header: str) -> str:
    """Return the header in lower case, words parted by one space: `UserMobile_No` → `user mobile no`."""
    plain = _CAMEL.sub(" ", unicodedata.normalize("NFKC", header))
    return _BREAK.sub(" ", plain.lower()).strip()


def is_opaque(header: str) -> bool:
    """Whether the header says nothing: `c00`, `col_3`, `字段12`, nothing at all."""
    return _OPAQUE.fullmatch(words_of(header)) is not None


def _en(words: str) -> str:
    return rf"(?<![a-z])(?:{words})(?![a-z])"


_THINGS = (
    "product|prod|goods|item|brand|store|shop|file|category|cate|city|province|county|country|district|region|company|org|organization|sku|spu|campaign|coupon|event|page|"
    "app|device|channel|warehouse|supplier|vendor|merchant|logistics|express|bank|host|domain|class|group|tag|level|tier|role|dept|department|school|table|column|model|plan|seller"
)

_TABLE: tuple[tuple[str, str | None, str | None], ...] = (
    # networks and devices
    (rf"(?:^|[^a-z])ip(?:v[46])?(?![a-z])|{_en('ipaddr|ipaddress|remote addr|client ip')}|ip地址|登录ip", None, Label.IP),
    (rf"{_en('mac|macaddr|mac addr|mac address')}|mac地址|物理地址", None, Label.MAC),
    (rf"{_en('imei[12]?|meid|idfa|idfv|oaid|android id|device id|deviceid|device no|udid')}|imei|串号|串码|设备号|设备标识|设备id", None, Label.IMEI),
    (rf"{_en('gps|lat lng|latlng|lng lat|lat lon|geo|geo point|coordinates?|coord|location point')}|经纬度|坐标|定位|gps", None, Label.GPS),
    (rf"{_en('lat|latitude|lng|lon|longitude')}|经度|纬度", None, Label.GPS),
    # accounts
    (rf"{_en('open ?id|union ?id|wechat|weixin|wx|wx ?id|wechat id|wx openid')}|微信|openid|unionid|威信", None, Label.WECHAT),
    (rf"{_en('qq|qq no|qq number')}|qq|扣扣", None, Label.QQ),
    (rf"{_en('e ?mail|mail|email addr(?:ess)?|mailbox')}|邮箱|电子邮件|邮件地址|e-?mail", "email", Label.EMAIL),
    # papers
    (rf"{_en('passport(?: no| number)?')}|护照", None, Label.PASSPORT),
    (rf"{_en('permit(?: no| number)?|hmt permit|home return permit')}|回乡证|通行证|台胞证", None, Label.HMT_PERMIT),
    (rf"{_en('uscc|tax id|tax no|credit code|tin')}|信用代码|税号|纳税人识别号", None, Label.USCC),
    (rf"{_en('id ?card|id ?no|id ?number|idnum|identity|identity no|identity card|national id|cert ?no|certificate no|ssn|resident id|id card no|sfz|sfzh|card id no')}|身份证|证件号|证件编号|证件$",
     "id_number", Label.ID_CARD),
    (rf"{_en('bank ?card|bank ?card no|bank ?account|card ?no|card ?number|debit card|credit card|acct no|account no|account number|iban|pan')}|银行卡|银行账|卡号(?<!会员卡号)|储蓄卡|信用卡号|借记卡|收款账号|开户账号",
     None, Label.BANK_CARD),
    (rf"{_en('plate|plate no|plate number|license plate|licence plate|car no|vehicle no')}|车牌|车号", None, Label.PLATE),
    # numbers that name things
    (rf"{_en('order ?id|order ?no|order ?number|order ?sn|order|invoice ?no|invoice|basket id|transaction id|trade no|trade id')}$|订单号|订单编号|订单id|交易号|单据号|小票号", "order_id", None),
    (rf"{_en('line|line no|line id|line number|row no|item seq|row number')}$|行号|明细号|序号", "line_id", None),
    (rf"{_en('event ?id|log ?id|session ?id|trace ?id')}|事件编号|事件id|日志id", "event_id", None),
    (rf"{_en('ticket ?id|case ?id|chat ?id|review ?id|comment ?id|interaction ?id')}|工单号|工单编号|会话id|评价编号|评论id", "interaction_id", None),
    (rf"{_en('evidence|evidence id')}|证据", "evidence", None),
    (rf"{_en('tracking ?no|tracking|tracking number|waybill|waybill no|express no|logistics no|parcel no')}|快递单号|运单|物流单|快递号", None, None),
    (rf"{_en('version|app ?version|ver|os version|sdk version|app ver')}|版本", None, None),
    (rf"{_en('post ?code|zip|zip ?code|postal ?code')}|邮编|邮政编码", None, None),
    (rf"{_en('sku|sku ?id|product ?id|product ?code|goods ?id|item ?id|spu|spu id|stock ?code|item code|product no|item no|upc|barcode|product|item')}$|商品编码|商品编号|商品id|商品代码|货号|款号|sku|条码",
     "product", None),
    (rf"{_en('description|product ?name|goods ?name|item ?name|product title|item title|title')}|商品名|商品标题|产品名|品名|货品名", "product_name", None),
    (rf"{_en('category|cate|product ?type|product category|top category|department|commodity')}|类目|品类|分类|商品类别", "category", None),
    (rf"{_en('brand|brand name')}|品牌", None, None),
    (rf"{_en('unit ?price|price')}|单价|价格", "unit_price", None),
    (rf"{_en('qty|quantity|count of items|num items|item count')}|数量|件数", "quantity", None),
    (rf"{_en('pay amount|amount|amt|total|total amount|paid|pay|payment amount|sales value|sales|order amount|revenue|fee|cost|money|gmv')}$|金额|实付|应付|总价|支付额|合计", "amount", None),
    (rf"{_en('invoiced|is invoiced|has invoice')}|是否开票|已开票", "invoiced", None),
    (rf"{_en('points?|score|credits?|bonus|growth')}|积分|成长值", None, None),
    (rf"{_en('tier|level|vip|member level|grade|member type|vip level|rank|segment')}|等级|级别|会员类型|vip", None, None),
    (rf"{_en('coupon|coupon code|coupon id|promo|promo code|voucher')}|优惠券|券码", None, None),
    # persons
    (rf"{_en('member ?id|member ?no|member|member number|customer ?id|customer ?no|customer|customer number|cust ?id|user ?id|userid|uid|user no|household ?id|household key|account id|buyer id|vip no|external id|shopper id')}$"
     r"|会员号|会员编号|会员id|会员卡号|客户编号|客户号|客户id|用户id|用户编号|买家id|会员编码|顾客编号", "member_id", None),
    (rf"{_en('login|login name|user ?name|account name|account|login id|login account')}$|登录名|用户名|登录账号|账号名|^账号$|^帐号$|^账户$", "login", None),
    (rf"{_en('birth|birth ?day|birth ?date|date of birth|dob|born|birth dt|csrq')}|生日|出生", "birth_date", Label.BIRTH_DATE),
    (rf"{_en('gender|sex|xb')}|性别", "gender", "GENDER"),
    (rf"{_en('phone|mobile|mobile ?no|phone ?no|tel|telephone|cell|cell ?phone|msisdn|phone ?number|mobile ?number|contact ?no|contact number|contact phone|sjh|lxdh|fax|whatsapp')}(?! (?:type|brand|model))"
     r"|手机|电话|联系方式|移动电话|座机|手机号", "phone", Label.PHONE),
    (rf"{_en('address|addr|street|ship ?to|shipping address|home address|delivery address|ship addr|dz|address line ?[0-9]?|residence')}|地址|住址|收货地|住所|街道", "address", Label.ADDRESS),
    (rf"{_en(f'(?:{_THINGS}) ?names?')}|(?:商品|店铺|门店|品牌|公司|企业|文件|类目|城市|银行|活动|渠道|仓库)名", None, None),
    (rf"{_en('nick ?name|nick|display name|screen name|alias')}|昵称|别名", None, None),
    (rf"{_en('name|full ?name|real ?name|customer ?name|member ?name|cust ?name|first ?name|last ?name|surname|given ?name|contact|contact ?name|contact person|receiver|receiver name|consignee|recipient|buyer|buyer name|xm|cardholder|holder|person|user real name|payer|payee')}"
     r"|姓名|收货人|收件人|联系人|持卡人|真实名|客户名|会员名|户名|买家名|顾客名|姓氏|名字|寄件人", "name", Label.PERSON),
    # times and the rest of the facts
    (rf"{_en('registered ?at|register ?time|reg ?time|registration|registration date|reg date|sign ?up|signup date|joined|join date|member since|enrol(?:l)?ment date|register date')}|注册时间|注册日期|入会|开卡",
     "registered_at", None),
    (rf"{_en('completed ?at|complete time|finish time|finished at|delivered at|close time')}|完成时间|完结时间|签收时间", "completed_at", None),
    (rf"{_en('updated|updated ?at|update ?time|modified|modified ?at|gmt modified|last modified|updated ms|mtime|last login|last login time')}|更新时间|修改时间|最近登录|最后登录", None, None),
    (rf"{_en('placed ?at|order ?time|order ?date|invoice ?date|pay ?time|paid at|purchase date|transaction date|transaction timestamp|trade time|transaction time')}|下单|支付时间|付款时间|交易时间|购买时间", "placed_at", None),
    (rf"{_en('created|created ?at|create ?time|gmt create|date|time|timestamp|ts|at|datetime|day|event time|log time|occurred at')}$|时间|日期", "created_at", None),
    (rf"{_en('comment|comments|remark|remarks|note|notes|message|msg|content|text|review|reviews|review text|feedback|memo|chat|body|description text|question|answer|complaint|buyer note|reply')}|备注|留言|评论|评价|内容|聊天|反馈|投诉|咨询|意见|描述|说明|正文|对话", "text", "FREETEXT"),
    (rf"^(?:{_en('status|order status')}|订单状态|状态)$", "status", None),
    (rf"{_en('channel')}|渠道", "channel", None),
    (rf"{_en('purpose')}|目的", "purpose", None),
    (rf"{_en('state')}$", "state", None),
    (rf"{_en('kind|type|event|event type|action|behaviou?r')}$|类型|行为|方式", "kind", None),
)  # fmt: skip

_COMPILED = tuple((re.compile(pattern), field, label) for pattern, field, label in _TABLE)


def claim(header: str) -> Claim | None:
    """Return what the header says, None when it says nothing known."""
    if is_opaque(header):
        return None
    words = words_of(header)
    for number, (pattern, field, label) in enumerate(_COMPILED):
        if pattern.search(words):
            return Claim(
                field, str(label) if label else None, f"header:{number:02d}:{label or field or 'not-personal'}"
            )
    return None
